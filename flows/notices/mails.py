"""Mails: plain text through an SMTP server. What the server says is not passed on, but for its code."""

from __future__ import annotations

import platform
import re
import smtplib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any

from flows.notices.delivering import NotSent
from flows.notices.variables import read_variable
from tasks.settings.operation import EmailNotice
from tasks.wording import clean

LONGEST_SUBJECT = 150
PERMANENT = 500


def name_mail(notice: EmailNotice) -> str:
    """What to call it in a line of the log."""
    first, others = notice.recipients[0], len(notice.recipients) - 1
    return f"the mail to {first}" + (f" and {others} more" if others else "")


def write_mail(notice: EmailNotice, fields: Mapping[str, Any], text: str) -> EmailMessage:
    """The whole mail. Its Message-ID is made here once: a mail that is tried again is the same one."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"] = notice.sender, ", ".join(notice.recipients)
    mail["Subject"] = clean(f"Evertune: {fields['headline']}", LONGEST_SUBJECT)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=parseaddr(notice.sender)[1].rpartition("@")[2].strip("[]"))
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    mail["X-Evertune-Event"] = clean(fields["event"])
    mail.set_content(text)
    return mail


def send_mail(notice: EmailNotice, mail: EmailMessage, seconds: float) -> None:
    """One attempt. Raises NotSent."""
    password = None if notice.password_env is None else read_variable("password_env", notice.password_env)
    try:
        with _connect(notice, max(0.1, seconds)) as server:
            if notice.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if password is not None and notice.username is not None:
                server.login(notice.username, password)
            refused = server.send_message(mail)
    except (smtplib.SMTPException, OSError) as error:
        raise _fault(notice, error) from None
    if refused:
        raise NotSent(f"it went out, but {len(refused)} of {len(notice.recipients)} recipients were refused")


def _connect(notice: EmailNotice, seconds: float) -> smtplib.SMTP:
    """Our own name is given, because smtplib would ask the DNS for it, for as long as that takes."""
    name = platform.node()
    ours = name if re.fullmatch(r"[A-Za-z0-9.-]{1,255}", name) else "localhost"
    if notice.security == "tls":
        return smtplib.SMTP_SSL(notice.host, notice.port, ours, timeout=seconds, context=ssl.create_default_context())
    return smtplib.SMTP(notice.host, notice.port, ours, timeout=seconds)


def _fault(notice: EmailNotice, error: Exception) -> NotSent:
    where = f"{notice.host}:{notice.port}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotSent(f"{where} refuses the login of {notice.username} ({error.smtp_code}); look at ${notice.password_env}")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return NotSent(f"{where} does not offer {'STARTTLS' if notice.security == 'starttls' else 'a login'}; look at security")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = {code for code, _ in error.recipients.values()}
        return NotSent(f"{where} refuses every recipient ({min(codes)})", passing=max(codes) < PERMANENT)
    if isinstance(error, smtplib.SMTPResponseException):
        return NotSent(f"{where} answers {error.smtp_code}", passing=error.smtp_code < PERMANENT)
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotSent(f"the certificate of {where} is not to be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return NotSent(f"{where} speaks no TLS as we do ({error.reason}); look at security and port")
    words = error.strerror if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException) else None
    return NotSent(f"{where} does not answer: {words or type(error).__name__}", passing=True)
