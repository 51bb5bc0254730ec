"""Webhooks: a POST of JSON, to whoever deploys the model or to a chat.

Redirects are not followed, so neither the notice nor the token ever reaches another host than the one that was named.
Nothing that a server or a library says is passed on, but for the status: it may quote the address or the token.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message as Headers
from importlib.metadata import version
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from flows.notices.delivering import NotSent
from flows.notices.variables import read_variable
from flows.services.preflight import basic
from tasks.settings.operation import WebhookNotice

OVERLOADED = 429


class _Staying(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Headers, newurl: str) -> None:
        return None


def name_webhook(notice: WebhookNotice) -> str:
    """What to call it in a line of the log: the host, or the variable that holds the address."""
    return f"the webhook at ${notice.url_env}" if notice.url is None else f"the webhook at {urlsplit(notice.url).hostname}"


def write_body(notice: WebhookNotice, fields: Mapping[str, Any], text: str) -> bytes:
    """json: every field and the text; slack: the text alone, as Slack, Mattermost and others read it."""
    content = {"text": text} if notice.form == "slack" else {**fields, "text": text}
    return json.dumps(content, allow_nan=False, default=str).encode()


def escape_slack(text: str) -> str:
    """Slack's three characters: what is quoted becomes no link and calls nobody. Source: api.slack.com, Formatting text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(notice: WebhookNotice, body: bytes, identity: str, seconds: float) -> None:
    """One attempt. `identity` goes along as Idempotency-Key. Raises NotSent."""
    request = _request(notice, body, identity)
    try:
        with urllib.request.build_opener(_Staying).open(request, timeout=max(0.1, seconds)):
            return
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(notice, error.code) from None
    except urllib.error.URLError as error:
        raise _silence(error.reason) from None
    except (OSError, http.client.HTTPException) as error:
        raise _silence(error) from None


def _request(notice: WebhookNotice, body: bytes, identity: str) -> urllib.request.Request:
    given = notice.url if notice.url is not None else read_variable("url_env", str(notice.url_env))
    parts = urlsplit(given)
    login, url = unquote(parts.netloc.rpartition("@")[0]), parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.scheme not in ("http", "https"):
        raise NotSent(f"url_env: the environment variable {notice.url_env} holds no address that begins with http:// or https://")
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"evertune/{version('evertune')}",
        "Idempotency-Key": identity,
        **({"Authorization": basic(login)} if login else {}),
    }
    if notice.token_env is not None:
        headers["Authorization"] = f"Bearer {read_variable('token_env', notice.token_env)}"
    return urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  http and https alone


def _refusal(notice: WebhookNotice, status: int) -> NotSent:
    if 300 <= status < 400:
        return NotSent(f"it answers {status}, a redirect, which is not followed; name the address that it leads to")
    if status in (401, 403):
        key = "token_env" if notice.token_env else "no token_env is given"
        return NotSent(f"it refuses us ({status}); look at what it wants ({key})")
    if status in (404, 410):
        return NotSent(f"it answers {status}: nobody listens at that address any more, or never did")
    return NotSent(f"it answers {status}", passing=status >= 500 or status == OVERLOADED)


def _silence(reason: object) -> NotSent:
    """Why there was no answer: the operating system's own words, else the kind of error."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return NotSent(f"its certificate is not to be trusted: {reason.verify_message}")
    if isinstance(reason, TimeoutError):
        return NotSent("no answer in time", passing=True)
    words = reason.strerror if isinstance(reason, OSError) else None
    return NotSent(f"no answer: {words or type(reason).__name__}", passing=True)
