"""Settings of notices: who is told what, and how. A secret is never in the YAML: an `_env` key names the variable that holds it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.settings.values import Settings

Occurrence = Literal["promoted", "kept", "asked", "unchanged", "failed", "data_rejected", "drift", "decay", "old", "worse"]
"""What a notice can be about; `worse` is any retrain whose score is worse than the champion's by more than `worse_than`."""
Template = Annotated[str, Field(max_length=10_000)]


class NoticeSettings(Settings):
    """What every notice has."""

    on: tuple[Occurrence, ...] = ("failed", "data_rejected", "promoted", "asked", "decay", "old")
    worse_than: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """For `worse`: the share of the champion's score."""
    template: Template | None = None
    """Jinja text over the notice's fields, in a sandbox; a plain summary when left out."""
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0


class WebhookNotice(NoticeSettings):
    """A POST of JSON: to whoever deploys the model, to a chat."""

    to: Literal["webhook"]
    url: str | None = None
    """Where; without a secret in it."""
    url_env: str | None = None
    """The environment variable that holds the address, where that is a secret."""
    form: Literal["json", "slack"] = "json"
    """json: every field; slack: {"text": ...}, as Slack, Mattermost and others read it."""
    token_env: str | None = None
    """The variable that holds a bearer token."""


class EmailNotice(NoticeSettings):
    """A mail through an SMTP server."""

    to: Literal["email"]
    recipients: Annotated[tuple[str, ...], Field(min_length=1)]
    sender: str
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password_env: str | None = None
    """The variable that holds the password."""


Notice = Annotated[WebhookNotice | EmailNotice, Field(discriminator="to")]
