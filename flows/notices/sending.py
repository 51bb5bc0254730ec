"""Which notices an occurrence calls for, and sending them.

The JSON of a webhook is the hook after promotion too: it says which version is the champion now (`model_uri`, `version_uri`),
and what its files must hash to (`digest`), for whoever deploys it. configs.templates.FIELDS says what each field holds.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from configs.schema import RetrainConfig
from configs.templates import render
from flows.notices.delivering import Delivery, deliver
from flows.notices.mails import name_mail, send_mail, write_mail
from flows.notices.messages import about, describe, describe_result, occurrences_of, summarise
from flows.notices.registered import Registered, look_up
from flows.notices.webhooks import escape_slack, name_webhook, post, write_body
from tasks.errors import EvertuneError
from tasks.records import Result
from tasks.settings.operation import Notice, WebhookNotice
from tasks.sources.source import mask
from tasks.wording import clean

LOOK_UP_SECONDS = 5.0
log = logging.getLogger("evertune")
Called = list[tuple[int, Notice, tuple[str, ...]]]
"""The notices that an occurrence calls for: place in operation.notify, settings, what it is about."""


def announce(config: RetrainConfig, occurrence: str, fields: Mapping[str, Any]) -> None:
    """Send every notice of `operation.notify` that is about this occurrence; a failure is logged, never raised.

    `fields` are those of configs.templates.FIELDS that are known (reason, version, metric, links, ...); any other is put
    among the details. Takes at most as long as the longest `timeout_seconds` of those notices.
    """
    called: Called = [(place, notice, (occurrence,)) for place, notice in enumerate(config.operation.notify) if occurrence in notice.on]
    if called:
        _announce(config, called, partial(describe, config, fields))


def announce_result(config: RetrainConfig, result: Result) -> None:
    """What a retrain came to, to whom it may concern. The same, and at most 5 seconds to ask the registry."""
    called = [(place, notice, occurrences_of(result, notice)) for place, notice in enumerate(config.operation.notify)]
    called = [one for one in called if one[2]]
    if called:
        seconds = min(LOOK_UP_SECONDS, max(notice.timeout_seconds for _, notice, _ in called))
        _announce(config, called, lambda: describe_result(config, result, _registered(config, result, seconds)))


def announce_error(config: RetrainConfig, error: Exception) -> None:
    """That a retrain failed, with its summary where it has got one: a server that is down at the start leaves none."""
    if isinstance(error, EvertuneError) and error.summary:
        return announce_result(config, Result(**error.summary))
    verdict: Any = error.verdict if isinstance(error, EvertuneError) else "failed"
    reason = str(error) if isinstance(error, EvertuneError) else f"{type(error).__name__}: {error}"
    return announce_result(config, Result(verdict, reason, config.model_name, as_of=""))


def _announce(config: RetrainConfig, called: Called, describing: Any) -> None:
    try:
        fields = describing()
        deliveries = [_prepare(place, notice, about(fields, occurrences)) for place, notice, occurrences in called]
        outcomes = deliver(deliveries)
    except Exception as error:  # whatever it is: what the notice is about has happened, and stands
        log.warning("the notices could not be written: %s: %s", type(error).__name__, clean(mask(str(error)), 200))
        return
    for (place, _, occurrences), delivery, why in zip(called, deliveries, outcomes, strict=True):
        if why is None:
            log.info("%s was told: %s", delivery.name, ", ".join(occurrences))
        else:
            said = ", ".join(occurrences)
            log.warning("operation.notify.%d: %s was not told (%s): %s", place, delivery.name, said, clean(why))


def _prepare(place: int, notice: Notice, fields: Mapping[str, Any]) -> Delivery:
    slack = isinstance(notice, WebhookNotice) and notice.form == "slack"
    text = _write(place, notice, fields, escape_slack if slack else str)
    if isinstance(notice, WebhookNotice):
        send = partial(post, notice, write_body(notice, fields, text), fields["id"])
        return Delivery(name_webhook(notice), send, notice.timeout_seconds)
    return Delivery(name_mail(notice), partial(send_mail, notice, write_mail(notice, fields, text)), notice.timeout_seconds)


def _write(place: int, notice: Notice, fields: Mapping[str, Any], escape: Any) -> str:
    """The template's text, or the plain summary where there is none, or where it cannot be filled in."""
    if notice.template is not None:
        try:
            return render(notice.template, fields, escape)
        except Exception as error:  # whatever a filter raises
            log.warning("operation.notify.%d.template: cannot be filled in, so the plain summary goes out: %s", place, clean(error, 200))
    return str(escape(summarise(fields)))


def _registered(config: RetrainConfig, result: Result, seconds: float) -> Registered:
    if result.version is None:
        return Registered()
    try:
        return look_up(config, result.version, seconds)
    except Exception as error:  # MLflow's own, or SQLAlchemy's, or no answer
        log.warning("the notices do not name the digest of v%s: %s", result.version, clean(mask(str(error)), 200))
        return Registered()
