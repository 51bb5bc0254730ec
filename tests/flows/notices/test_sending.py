"""Notices on real HTTP and SMTP servers: who is told what, and that nothing of a notice ever costs a retrain anything."""

from __future__ import annotations

import logging
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.schema import RetrainConfig
from configs.templates import FIELDS
from flows.notices.sending import announce, announce_error, announce_result
from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tasks.records import Result
from tests.flows.notices.sinks import HttpSink, SmtpSink, http_sink, make_certificate, smtp_sink

pytestmark = pytest.mark.usefixtures("store", "quick")
METRIC = {"name": "log_loss", "challenger": 0.46, "champion": 0.44, "difference": 0.02, "low": 0.01, "high": 0.03}


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and no proxy of the machine's between these tests and their servers."""
    monkeypatch.setattr("flows.notices.delivering.PAUSES", (0.02, 0.05))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "evertune")


def config(*notices: dict[str, Any]) -> RetrainConfig:
    source = {"kind": "csv", "path": "shop.csv"}
    return RetrainConfig.model_validate(
        {"name": "shop", "source": source, "target": "sold", "operation": {"events": {"drift": {}}, "notify": notices}}
    )


def webhook(sink: HttpSink, **changes: Any) -> dict[str, Any]:
    return {"to": "webhook", "url": f"{sink.address}/hook", "timeout_seconds": 5, **changes}


def result(verdict: Any = "promoted", **changes: Any) -> Result:
    look = {"MLflow": "http://127.0.0.1:5000/#/1", "pages": "evertune up"}
    return Result(**{"verdict": verdict, "reason": "it is better", "model": "shop", "as_of": "2024-04-30", "look": look, **changes})


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_promotion_tells_a_deployer_what_to_load_and_how_to_undo_it(
    sink: HttpSink, retrain_shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    retrain_shop(day=100)
    promoted = retrain_shop(day=120)
    announce_result(config(webhook(sink)), promoted)
    body = sink.bodies[0]
    from mlflow import MlflowClient

    tags = MlflowClient(Home.from_environment().mlflow_url).get_model_version("shop", "2").tags
    assert body.keys() == {*FIELDS, "text"}
    assert (body["schema"], body["event"], body["version"]) == ("evertune.notice/1", "promoted", "2")
    assert (body["model_uri"], body["version_uri"]) == ("models:/shop@champion", "models:/shop/2")
    assert body["digest"] == tags["evertune.digest"]
    assert body["undo"] == "evertune rollback shop"
    assert body["metric"]["confidence"] == 0.95
    assert body["metric"]["low"] < body["metric"]["difference"] < body["metric"]["high"]
    assert body["links"]["MLflow"].startswith("http")
    assert body["text"].splitlines()[0] == body["headline"] == "shop 2024-04-30: promoted, v2"
    assert not warnings(caplog)


@pytest.mark.parametrize(
    ("verdict", "on", "heard"),
    [
        ("promoted", ["promoted"], ["promoted"]),
        ("kept", ["promoted", "failed"], None),
        ("kept", ["worse"], ["worse"]),
        ("kept", ["kept", "worse"], ["kept", "worse"]),
        ("ask", ["asked"], ["asked"]),
        ("unchanged", ["worse"], None),
        ("unchanged", ["unchanged"], ["unchanged"]),
        ("failed", ["failed"], ["failed"]),
        ("data_rejected", ["data_rejected"], ["data_rejected"]),
        ("dry_run", ["promoted", "kept", "worse"], None),
    ],
)
def test_a_notice_is_about_what_it_says(sink: HttpSink, verdict: str, on: list[str], heard: list[str] | None) -> None:
    announce_result(config(webhook(sink, on=on, worse_than=0.01 if "worse" in on else 0.0)), result(verdict, metric=METRIC))
    assert [body["occurrences"] for body in sink.bodies] == ([heard] if heard else [])


@pytest.mark.parametrize(
    ("name", "now", "share", "heard"),
    [("roc_auc", 0.80, 0.05, 1), ("roc_auc", 0.80, 0.2, 0), ("rmse", 0.8, 0.0, 0), ("rmse", 1.0, 0.05, 1)],
)
def test_worse_knows_which_way_a_metric_goes(sink: HttpSink, name: str, now: float, share: float, heard: int) -> None:
    metric = {"name": name, "challenger": now, "champion": 0.9}
    announce_result(config(webhook(sink, on=["worse"], worse_than=share)), result("kept", metric=metric))
    assert len(sink.received) == heard


def test_who_is_asked_is_told_how_to_answer(sink: HttpSink) -> None:
    announce_result(config(webhook(sink)), result("ask", version="7"))
    body = sink.bodies[0]
    assert (body["approve"], body["reject"], body["undo"]) == ("evertune promote shop 7", "evertune reject shop 7", None)
    assert "to approve: evertune promote shop 7" in body["text"]


def test_a_drift_brings_details_of_its_own(sink: HttpSink) -> None:
    announce(config(webhook(sink, on=["drift"])), "drift", {"reason": "3 columns moved", "columns": ["price"], "rows": {"test": 5}})
    announce(config(webhook(sink, on=["drift"])), "decay", {"reason": "not for this one"})
    assert [body["event"] for body in sink.bodies] == ["drift"]
    assert sink.bodies[0]["details"] == {"columns": "['price']"}
    assert sink.bodies[0]["rows"] == {"train": None, "test": 5}


def test_figures_that_are_named_as_fields_are_are_details(sink: HttpSink, caplog: pytest.LogCaptureFixture) -> None:
    announce(config(webhook(sink)), "decay", {"reason": "worse", "details": {"metric": "log_loss", "rows": 300, "low": 0.1}})
    assert sink.bodies[0]["details"] == {"metric": "log_loss", "rows": 300, "low": 0.1}
    assert not warnings(caplog)


def test_an_error_without_a_summary_is_told_too_and_its_password_is_not(sink: HttpSink) -> None:
    announce_error(config(webhook(sink)), ServiceUnavailable("MLflow at http://me:hunter2@tracker does not answer"))
    assert sink.bodies[0]["event"] == "failed"
    assert "hunter2" not in str(sink.received)


def test_slack_gets_one_text_in_which_foreign_words_call_nobody(sink: HttpSink) -> None:
    announce_result(config(webhook(sink, form="slack", template="*{{ headline }}* {{ reason }}")), result(reason="<!channel> & more"))
    assert sink.bodies == [{"text": "*shop 2024-04-30: promoted* &lt;!channel&gt; &amp; more"}]


def test_a_template_writes_the_text(sink: HttpSink) -> None:
    template = "{% for name, page in links.items() %}{{ name }}: {{ page }}{% endfor %} {{ metric.challenger|number }} {{ undo }}"
    announce_result(config(webhook(sink, template=template)), result(metric=METRIC))
    assert sink.bodies[0]["text"] == "MLflow: http://127.0.0.1:5000/#/1 0.46 "


def test_the_token_and_the_secret_address_come_from_variables(sink: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", f"{sink.address}/services/T0/hunter2/\n")
    monkeypatch.setenv("TOKEN", "tok-123\n")
    announce_result(config(webhook(sink, url=None, url_env="HOOK", token_env="TOKEN")), result())
    path, headers, body = sink.received[0]
    assert path == "/services/T0/hunter2/"
    assert headers["Authorization"] == "Bearer tok-123"
    assert headers["Idempotency-Key"] == body["id"]


def test_what_may_pass_is_tried_again_and_is_the_same_notice(sink: HttpSink, caplog: pytest.LogCaptureFixture) -> None:
    sink.answers = [(503, {}), (429, {})]
    announce_result(config(webhook(sink)), result())
    assert len(sink.received) == 3
    assert len({body["id"] for body in sink.bodies}) == 1
    assert not warnings(caplog)


@pytest.mark.parametrize(("status", "times", "why"), [(500, 3, "it answers 500"), (400, 1, "it answers 400"), (401, 1, "it refuses us")])
def test_what_is_refused_is_one_warning(sink: HttpSink, caplog: pytest.LogCaptureFixture, status: int, times: int, why: str) -> None:
    sink.answers = [(status, {})] * 3
    announce_result(config(webhook(sink)), result())
    assert len(sink.received) == times
    assert len(warnings(caplog)) == 1
    assert warnings(caplog)[0].startswith("operation.notify.0: the webhook at 127.0.0.1 was not told (promoted): ")
    assert why in warnings(caplog)[0]


def test_a_redirect_is_not_followed(sink: HttpSink, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "tok-123")
    with http_sink() as other:
        for status in (301, 302, 307, 308):
            sink.answers = [(status, {"Location": f"{other.address}/tok-456"})]
            announce_result(config(webhook(sink, token_env="TOKEN")), result())
        assert not other.received
    assert all("a redirect, which is not followed" in line and "tok-" not in line for line in warnings(caplog))
    assert len(warnings(caplog)) == 4


@pytest.mark.parametrize(
    "value", [None, "not an address/hunter2", "https://h\nunter2.example", "file:///etc/hunter2", "http://[hunter2", "http://h:hunter2/x"]
)
def test_a_variable_that_is_missing_or_wrong_is_one_warning_without_its_value(
    value: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("HOOK", value)
    announce_result(config({"to": "webhook", "url_env": "HOOK", "timeout_seconds": 5}), result())
    assert len(warnings(caplog)) == 1
    assert "the webhook at $HOOK was not told" in warnings(caplog)[0]
    assert "hunter2" not in caplog.text
    assert value is not None or "the environment variable HOOK is not set; set it where the worker runs" in caplog.text


def test_receivers_are_told_side_by_side_and_none_holds_the_retrain_up(sink: HttpSink, caplog: pytest.LogCaptureFixture) -> None:
    sink.delay = 20
    with http_sink() as quick, socket.create_server(("127.0.0.1", 0)) as mute:
        silent = {**webhook(sink), "url": f"http://127.0.0.1:{mute.getsockname()[1]}/"}
        slow = [{**webhook(sink), "timeout_seconds": 1}, {**silent, "timeout_seconds": 1}, webhook(quick)]
        began = time.monotonic()
        announce_result(config(*slow), result())
        assert time.monotonic() - began < 4
        assert len(quick.received) == 1
    assert len(warnings(caplog)) == 2


def test_a_registry_that_fails_costs_the_digest_and_nothing_else(
    sink: HttpSink, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hunter2@127.0.0.1:9/none")
    announce_result(config(webhook(sink)), result(version="3"))
    assert (sink.bodies[0]["digest"], sink.bodies[0]["version"]) == (None, "3")
    assert len(warnings(caplog)) == 1
    assert "hunter2" not in caplog.text


def mail(sink: SmtpSink, **changes: Any) -> dict[str, Any]:
    given = {"to": "email", "recipients": ["a@example.com", "b@example.com"], "sender": "Evertune <ml@example.com>", "host": "127.0.0.1"}
    return {**given, "port": sink.port, "security": "none", "timeout_seconds": 5, **changes}


def test_a_mail_is_plain_text_with_proper_headers_and_nothing_can_add_one(caplog: pytest.LogCaptureFixture) -> None:
    with smtp_sink() as sink:
        hostile = result(model="shop\r\nBcc: all@example.com", reason="grün\n.\nRCPT TO:<all@example.com>")
        announce_result(config(mail(sink)), hostile)
    got = sink.mails[0]
    assert got["From"] == "Evertune <ml@example.com>"
    assert got["To"] == "a@example.com, b@example.com"
    assert (got["Bcc"], got["Auto-Submitted"], got["X-Evertune-Event"]) == (None, "auto-generated", "promoted")
    assert got["Subject"].startswith("Evertune: shop")
    assert got["Message-ID"].endswith("@example.com>")
    assert got["Date"]
    assert got.get_content_type() == "text/plain"
    assert "grün\n.\nRCPT TO:<all@example.com>" in got.get_content().replace("\r\n", "\n")
    assert sink.recipients == ["<a@example.com>", "<b@example.com>"]
    assert not warnings(caplog)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which makes the certificate, is not installed")
def test_a_login_goes_through_starttls_and_only_to_a_server_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    with smtp_sink(certificate, "hunter2") as sink:
        settings = mail(sink, security="starttls", username="me", password_env="MAIL_PASSWORD")
        announce_result(config(settings), result())
        assert (len(sink.mails), sink.logins) == (0, [])
        assert "certificate of 127.0.0.1" in warnings(caplog)[0]
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        announce_result(config(settings), result())
        assert (len(sink.mails), sink.logins) == (1, [("me", "hunter2", True)])
        monkeypatch.setenv("MAIL_PASSWORD", "swordfish")
        announce_result(config(settings), result())
    assert len(warnings(caplog)) == 2
    assert "refuses the login of me (535); look at $MAIL_PASSWORD" in warnings(caplog)[1]
    assert "swordfish" not in caplog.text  # which the server repeats


def test_a_mail_server_that_refuses_or_is_not_there_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with smtp_sink() as sink:
        sink.refusal = "451 later"
        announce_result(config(mail(sink)), result())
        announce_result(config(mail(sink, security="starttls")), result())
    announce_result(config(mail(sink)), result())
    first, second, third = warnings(caplog)
    assert first.endswith("answers 451")
    assert "does not offer STARTTLS" in second
    assert "Connection refused" in third
