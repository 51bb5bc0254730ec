"""What is refused of `operation.notify` when a config is read: secrets written down, addresses that are none, endless templates."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from configs.notices import faults_of_notices
from configs.reading import read_config
from configs.schema import RetrainConfig
from configs.templates import LONGEST, example, render, template_faults
from tasks.errors import ConfigError
from tasks.settings.operation import EmailNotice, OperationSettings, WebhookNotice
from tests.small import small_config

MAIL = {"recipients": ("a@example.com",), "sender": "ml@example.com", "host": "smtp.example.com"}


def faults(notice: WebhookNotice | EmailNotice) -> list[str]:
    config = RetrainConfig.model_validate({"name": "shop", "source": {"kind": "csv", "path": "shop.csv"}, "target": "sold"})
    return list(faults_of_notices(config.model_copy(update={"operation": OperationSettings(notify=(notice,))})))


def webhook(**settings: Any) -> list[str]:
    return faults(WebhookNotice(to="webhook", **settings))


def email(**settings: Any) -> list[str]:
    return faults(EmailNotice(to="email", **{**MAIL, **settings}))


def test_what_is_meant_to_be_written_is_allowed() -> None:
    assert webhook(url="https://deploy.example.com:8443/hook?model=shop", token_env="DEPLOY_TOKEN", on=("promoted",)) == []
    assert webhook(url_env="SLACK", form="slack", on=("worse",), worse_than=0.1) == []
    assert email(sender="Evertune <ml@example.com>", username="me", password_env="MAIL_PASSWORD") == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "url: give exactly one of url and url_env"),
        ({"url": "https://a.example/", "url_env": "A"}, "url: give exactly one of url and url_env"),
        ({"url": "https://me:hunter2@a.example/"}, "url: holds a user or a password; put the address into an environment variable"),
        ({"url": "https://a.example/?api_token=hunter2"}, "url: holds a secret in its query; put the address into"),
        ({"url": "https://a.example/?sig=hunter2"}, "url: holds a secret in its query; put the address into"),
        ({"url": "https://hooks.slack.com/services/T0/B0/hunter2"}, "url: whoever knows an address at hooks.slack.com can write there"),
        ({"url": "file:///etc/hunter2"}, "url: must be an address such as https://"),
        ({"url": "https://a.example/x\r\nX: hunter2"}, "url: must be an address such as https://"),
        ({"url": "https://[hunter2"}, "url: must be an address such as https://"),
        ({"url_env": "https://a.example/hunter2"}, "url_env: must be the name of an environment variable"),
        ({"url_env": "A", "token_env": "hunter2-token"}, "token_env: must be the name of an environment variable"),
        ({"url_env": "A", "on": ()}, "on: names nothing"),
        ({"url_env": "A", "worse_than": 0.1}, "worse_than: is only for the occurrence worse"),
        ({"url_env": "A", "template": "{{ hedline }}"}, "template: there is no field 'hedline'; did you mean headline?"),
    ],
)
def test_a_webhook_that_is_refused_says_why_and_not_what_it_held(settings: dict[str, Any], said: str) -> None:
    found = webhook(**settings)
    assert len(found) == 1
    assert found[0].startswith(f"operation.notify.0.{said}")
    assert "hunter2" not in found[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"recipients": ("a@example.com\r\nBcc: b@example.com",)}, "recipients.0: must be one mail address on one line"),
        ({"recipients": ("a@example.com", "b@example.com, c@example.com")}, "recipients.1: must be one mail address"),
        ({"sender": "ml"}, "sender: must be one mail address"),
        ({"host": "smtp://example.com"}, "host: must be the name or address"),
        ({"username": "me"}, "password_env: is missing"),
        ({"password_env": "P"}, "username: is missing"),
        ({"username": "me", "password_env": "P", "security": "none"}, "security: none would send the password"),
    ],
)
def test_a_mail_that_is_refused_says_why(settings: dict[str, Any], said: str) -> None:
    found = email(**settings)
    assert len(found) == 1
    assert found[0].startswith(f"operation.notify.0.{said}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ headline }}\n{{ reason }}{% if metric.champion %} {{ metric.challenger - metric.champion }}{% endif %}",
        "{% for name, page in links.items() %}{{ loop.index }} {{ name }}: {{ page }}\n{% endfor %}",
        "{{ details.drifted|default('none', true) }} {{ occurrences|join(', ') }} {{ metric.low|number }} {{ rows['train'] }}",
    ],
)
def test_a_template_may_print_choose_and_list(template: str) -> None:
    assert list(template_faults(template)) == []


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ headline", "does not parse: line 1"),
        ("{{ metric.chalenger }}", "metric has no 'chalenger'; did you mean challenger?"),
        ("{% if false %}{{ rows.trian }}{% endif %}", "rows has no 'trian'; did you mean train?"),
        ("{{ 'x' * 999999999 }}", "* is not for a notice"),
        ("{{ 9 ** 9 ** 9 }}", "** is not for a notice"),
        ("{{ '%0999999999d' % 1 }}", "% is not for a notice"),
        ("{% for a in range(99999) %}{% endfor %}", "nothing may be called"),
        ("{% for a in [1, 2] %}{% endfor %}", "list is not for a notice"),
        ("{% for a in links %}{% if a %}{% for b in links %}x{% endfor %}{% endif %}{% endfor %}", "may not hold another one"),
        ("{% for letter in reason %}{{ reason }}{% endfor %}", "a loop goes over one of links"),
        ("{% set a = reason ~ reason %}", "set is not for a notice"),
        ("{% include '/etc/passwd' %}", "include is not for a notice"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "macro is not for a notice"),
        ("{{ reason|replace('a', 'aa') }}", "there is no filter 'replace' here"),
        ("{{ ''.__class__.__mro__ }}", "nothing that begins with _"),
        ("{{ cycler.__init__.__globals__ }}", "nothing that begins with _"),
        ("{{ cycler }}", "there is no field 'cycler'"),
        ("{{ metric.challenger - metric.champion }}", "cannot be filled in where a field is null; ask with if"),
    ],
)
def test_a_template_that_could_do_more_is_refused_at_once(template: str, said: str) -> None:
    began = time.perf_counter()
    found = list(template_faults(template))
    assert any(said in fault for fault in found), found
    assert time.perf_counter() - began < 2


def test_a_long_text_is_cut_off() -> None:
    fields = example() | {"reason": "r" * 4000}
    assert len(render("{{ reason }}" * 800, fields)) == LONGEST


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ({"notify": [{"to": "webhook", "url": "https://deploy.example.com", "on": ["old"]}]}, "notify.0.on: old is never told"),
        ({"notify": [{"to": "webhook", "url": "https://deploy.example.com", "on": ["decay"]}]}, "on: decay is never told: nothing looks"),
        ({"events": {"new_data": {"every": "0s"}}}, "events.new_data.every must be at least a minute, got 0s"),
        ({"events": {"outside": [{"event": "*"}]}}, "would set it off again and again"),
        ({"events": {"outside": [{"event": "evertune.retrain.promoted"}]}}, "would set it off again and again"),
    ],
)
def test_what_would_never_come_or_never_stop_is_refused(tmp_path: Path, operation: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(fault)):
        read_config(small_config(tmp_path, operation=operation))


def test_another_model_s_promotion_may_set_off_a_retrain(tmp_path: Path) -> None:
    outside = {"event": "evertune.retrain.promoted", "resource": {"prefect.resource.id": "evertune.model.prices"}}
    assert read_config(small_config(tmp_path, operation={"events": {"outside": [outside]}})).operation.events.outside
