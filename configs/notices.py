"""What must hold of `operation.notify`: secrets by reference alone, addresses that are some, templates that can be filled in.

A fault never shows the value: it may be the very secret that should not be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from configs.templates import template_faults
from tasks.settings.operation import EmailNotice, Notice, WebhookNotice
from tasks.sources.source import mask

if TYPE_CHECKING:
    from configs.schema import RetrainConfig

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
ADDRESS = re.compile(r"[!#$%&'*+/=?^_`{|}~A-Za-z0-9.-]{1,64}@[A-Za-z0-9.-]{1,255}|[!#$%&'*+/=?^_`{|}~A-Za-z0-9.-]{1,64}@\[[0-9a-fA-F.:]+\]")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,253})")
REVEALING = re.compile(r"(?i)pass|pwd|secret|token|key|sig|auth|code")
"""Keys of a query whose value opens something."""
OPEN_TO_ALL = ("hooks.slack.com", "discord.com", "discordapp.com", "webhook.office.com", "chat.googleapis.com", "hooks.zapier.com")
"""Whoever knows an address there can write to the chat: the address is the secret."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def faults_of_notices(config: RetrainConfig) -> Iterator[str]:
    """Everything that is wrong with the notices; each fault begins with its key."""
    operation = config.operation
    looked = operation.events.drift or operation.events.decay or operation.max_age
    for place, notice in enumerate(operation.notify):
        if "on" in notice.model_fields_set:  # the default is nobody's fault
            for occurrence in notice.on:
                if occurrence == "old" and operation.max_age is None:
                    yield f"operation.notify.{place}.on: old is never told without operation.max_age, such as 30d"
                elif occurrence in ("drift", "decay") and not looked:
                    yield f"operation.notify.{place}.on: {occurrence} is never told: nothing looks; add operation.events.{occurrence}"
        faults = _faults_of_webhook(notice) if isinstance(notice, WebhookNotice) else _faults_of_email(notice)
        yield from (f"operation.notify.{place}.{fault}" for fault in (*_faults_of_any(notice), *faults))


def _faults_of_any(notice: Notice) -> Iterator[str]:
    if not notice.on:
        yield "on: names nothing that this notice is about, such as [failed, promoted]"
    if notice.worse_than and "worse" not in notice.on:
        yield "worse_than: is only for the occurrence worse; add it to on, or leave worse_than out"
    for key in ("url_env", "token_env", "password_env"):
        name = getattr(notice, key, None)
        if name is not None and not VARIABLE.fullmatch(name):
            yield f"{key}: must be the name of an environment variable, such as NOTIFY_SECRET, never the secret itself"
    if notice.template is not None:
        yield from (f"template: {fault}" for fault in template_faults(notice.template))


def _faults_of_webhook(notice: WebhookNotice) -> Iterator[str]:
    if (notice.url is None) == (notice.url_env is None):
        yield "url: give exactly one of url and url_env"
    elif notice.url is not None:
        yield from (f"url: {fault}" for fault in _faults_of_url(notice.url))


def _faults_of_url(url: str) -> Iterator[str]:
    instead = "put the address into an environment variable, and name that as url_env"
    try:
        parts = urlsplit(url)
        host, named = parts.hostname or "", [key for key, _ in parse_qsl(parts.query, keep_blank_values=True)]
        _ = parts.port
    except ValueError:
        parts, host, named = None, "", []
    if parts is None or parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        yield "must be an address such as https://deploy.example.com/hook"
    elif "@" in parts.netloc:
        yield f"holds a user or a password; {instead}"
    elif any(REVEALING.search(key) for key in named) or mask(url) != url:
        yield f"holds a secret in its query; {instead}"
    elif any(host == known or host.endswith(f".{known}") for known in OPEN_TO_ALL):
        yield f"whoever knows an address at {host} can write there, so it is a secret; {instead}"


def _faults_of_email(notice: EmailNotice) -> Iterator[str]:
    for key, address in (("sender", notice.sender), *((f"recipients.{at}", one) for at, one in enumerate(notice.recipients))):
        if not _is_address(address):
            yield f"{key}: must be one mail address on one line, such as ml@example.com or Evertune <ml@example.com>"
    if not HOST.fullmatch(notice.host):
        yield "host: must be the name or address of an SMTP server, such as smtp.example.com"
    if (notice.username is None) != (notice.password_env is None):
        missing = "password_env" if notice.password_env is None else "username"
        yield f"{missing}: is missing; username and password_env go together"
    if notice.password_env is not None and notice.security == "none" and notice.host not in LOOPBACK:
        yield "security: none would send the password for everybody on the way to read; use starttls or tls"
    if notice.username is not None and not (notice.username.isprintable() and notice.username):
        yield "username: must be text on one line"


def _is_address(text: str) -> bool:
    """A line break would begin another header of the mail, another comma another recipient."""
    return text.isprintable() and "," not in text and ADDRESS.fullmatch(parseaddr(text)[1]) is not None
