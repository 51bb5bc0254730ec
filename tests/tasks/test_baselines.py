from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from tasks.baselines import FINGERPRINT_FILE, PROFILE_FILE, find_baselines, read_profile
from tasks.checks.shares import parse_profile, profile_rows
from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tasks.records import Champion, Columns, Decided, PastScore, Table, Target
from tasks.stage import timed
from tasks.tracking import Tracker, connect, open_run

FIRST = datetime(2013, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NEVER = FIRST + 1000 * DAY


@pytest.fixture
def tracker(store: Home) -> Tracker:
    return connect(store, "shop")


def leave(
    tracker: Tracker,
    day: int,
    verdict: str | None = "promoted",
    artifacts: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
    ends: bool = True,
    **tags: Any,
) -> str:
    """A retrain's run as the journal leaves it behind; `day` is that of its as-of. `tags` by their name after evertune."""
    as_of = FIRST + day * DAY
    known = {"as_of": as_of.isoformat(), "model": "shop", "test_first": (as_of - 30 * DAY).isoformat(), "test_last": as_of.isoformat()}
    known |= {"verdict": verdict, "metric_name": "log_loss", "version": "1"} | tags
    told = {f"evertune.{name}": value for name, value in known.items() if value is not None}
    run_id = ""
    try:
        with timed() as timing, open_run(tracker, f"shop {as_of:%Y-%m-%d}", told, timing) as run:
            run_id = run.id
            run.metrics(metrics or {})
            for path, content in (artifacts or {}).items():
                run.text(content if isinstance(content, str) else json.dumps(content), path)
            if not ends:
                raise RuntimeError("the gate fell over")
    except RuntimeError:
        pass
    return run_id


def fingerprint(number: int) -> dict[str, Any]:
    return {FINGERPRINT_FILE: {"number": number}}


class TestFingerprint:
    """What the data was at the newest earlier retrain."""

    def test_is_the_newest_earlier_retrains_by_as_of_however_it_ended(self, tracker: Tracker) -> None:
        leave(tracker, 30, artifacts=fingerprint(30), verdict="kept")
        leave(tracker, 0, artifacts=fingerprint(0))
        leave(tracker, 40, artifacts=fingerprint(40), ends=False)
        found = find_baselines(tracker, "shop")
        assert found.read_fingerprint(FIRST + 50 * DAY) == {"number": 40}
        assert found.read_fingerprint(FIRST + 40 * DAY) == {"number": 30}
        assert found.read_fingerprint(FIRST + 30 * DAY) == {"number": 0}
        assert found.read_fingerprint(FIRST) is None

    def test_of_several_at_one_as_of_is_the_last_ones(self, tracker: Tracker) -> None:
        for number in (1, 2):
            leave(tracker, 0, artifacts=fingerprint(number))
        assert find_baselines(tracker, "shop").read_fingerprint(NEVER) == {"number": 2}

    @pytest.mark.parametrize(("damaged", "word"), [(None, ""), ("{", "it is damaged"), ("[1]", "it is no object")])
    def test_that_cannot_be_read_is_passed_over_with_a_word(
        self, tracker: Tracker, caplog: pytest.LogCaptureFixture, damaged: str | None, word: str
    ) -> None:
        leave(tracker, 0, artifacts=fingerprint(0))
        bad = leave(tracker, 30, artifacts=None if damaged is None else {FINGERPRINT_FILE: damaged})
        with caplog.at_level(logging.WARNING, "evertune"):
            assert find_baselines(tracker, "shop").read_fingerprint(NEVER) == {"number": 0}
        assert damaged is None or (word in caplog.text and bad in caplog.text)

    def test_is_of_this_model_alone(self, tracker: Tracker) -> None:
        leave(tracker, 0, artifacts=fingerprint(0), model="other")
        leave(tracker, 0, artifacts=fingerprint(1), as_of="yesterday")
        assert find_baselines(tracker, "shop").read_fingerprint(NEVER) is None


class TestDecisions:
    """How often a test window has decided."""

    def test_are_all_that_a_gate_came_to_up_to_this_as_of(self, tracker: Tracker) -> None:
        for day, verdict in ((0, "promoted"), (30, "kept"), (60, "ask"), (90, "promoted")):
            leave(tracker, day, verdict)
        found = find_baselines(tracker, "shop").read_decisions(FIRST + 60 * DAY)
        assert found[0] == Decided(FIRST, FIRST - 30 * DAY, FIRST, "promoted")
        assert [decided.verdict for decided in found] == ["promoted", "kept", "ask"]

    def test_made_again_at_one_as_of_wear_the_window_again(self, tracker: Tracker) -> None:
        for _ in range(3):
            leave(tracker, 0, "kept")
        assert len(find_baselines(tracker, "shop").read_decisions(FIRST)) == 3

    def test_are_not_answers_given_again_nor_runs_without_one(self, tracker: Tracker) -> None:
        leave(tracker, 0, "kept", answered_by="an earlier run")
        leave(tracker, 0, "unchanged")
        leave(tracker, 0, "data_rejected")
        leave(tracker, 0, None)
        leave(tracker, 0, "promoted", ends=False)
        leave(tracker, 0, "promoted", test_first=None)
        leave(tracker, 0, "promoted", test_last="yesterday")
        leave(tracker, 0, "promoted", model="other")
        assert find_baselines(tracker, "shop").read_decisions(NEVER) == ()


class TestPast:
    """The scores of earlier retrains, for a plot."""

    def test_scores_are_the_oldest_first_with_the_champions_beside_them(self, tracker: Tracker) -> None:
        second = leave(tracker, 30, "kept", metrics={"log_loss": 0.5, "champion/log_loss": 0.4, "roc_auc": 0.7})
        first = leave(tracker, 0, metrics={"log_loss": 0.6}, version=None)
        assert find_baselines(tracker, "shop").read_past(NEVER) == (
            PastScore("2013-09-01", "promoted", None, "log_loss", 0.6, None, first),
            PastScore("2013-10-01", "kept", "1", "log_loss", 0.5, 0.4, second),
        )

    def test_are_of_earlier_retrains_alone_and_the_last_of_each_as_of(self, tracker: Tracker) -> None:
        for score in (0.6, 0.5):
            leave(tracker, 0, metrics={"log_loss": score})
        leave(tracker, 1, metrics={"log_loss": 0.4}, metric_name=None)
        leave(tracker, 30, metrics={"log_loss": 0.4})
        past = find_baselines(tracker, "shop").read_past(FIRST + 30 * DAY)
        assert [score.challenger for score in past] == [0.5]

    def test_a_time_of_day_is_told(self, tracker: Tracker) -> None:
        leave(tracker, 0, as_of="2013-09-01T06:30:00")
        assert find_baselines(tracker, "shop").read_past(NEVER)[0].as_of == "2013-09-01T06:30:00+00:00"


class TestProfile:
    """What the champion's rows looked like."""

    frame = pd.DataFrame({"x": np.arange(200.0), "y": [0, 1] * 100})
    told = profile_rows(Table(frame, Columns(Target("y", "binary", (0, 1)), {"x": "number"}), "digest", ()), np.arange(200))

    def champion(self, run_id: str) -> Champion:
        return Champion("shop", "3", "models:/x", run_id, None, "config", "rows", "s", "lightgbm", {}, {})

    def test_is_read_back_from_the_champions_run(self, tracker: Tracker) -> None:
        run_id = leave(tracker, 0, artifacts={PROFILE_FILE: self.told})
        assert read_profile(tracker, self.champion(run_id)) == parse_profile(self.told)

    @pytest.mark.parametrize(
        ("content", "word"), [(None, "has no profile.json"), ("{", "is damaged"), ("[]", "makes no sense"), ({"version": 9}, "version 9")]
    )
    def test_that_is_not_there_or_damaged_is_none_with_a_word(
        self, tracker: Tracker, caplog: pytest.LogCaptureFixture, content: Any, word: str
    ) -> None:
        run_id = leave(tracker, 0, artifacts=None if content is None else {PROFILE_FILE: content})
        with caplog.at_level(logging.INFO, "evertune"):
            assert read_profile(tracker, self.champion(run_id)) is None
        assert word in caplog.text

    def test_of_a_run_that_is_gone_is_none(self, tracker: Tracker) -> None:
        assert read_profile(tracker, self.champion("0" * 32)) is None
        assert read_profile(tracker, self.champion("")) is None


def test_a_store_that_does_not_answer_is_not_one_without_baselines(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")):
        monkeypatch.setenv(name, value)
    run_id = leave(tracker, 0, artifacts=fingerprint(0))
    gone = replace(tracker, client=MlflowClient("http://127.0.0.1:9"))
    with pytest.raises(ServiceUnavailable, match="the baselines of earlier retrains cannot be read"):
        find_baselines(gone, "shop")
    with pytest.raises(ServiceUnavailable, match=r"fingerprint.json of run .* cannot be read"):
        replace(find_baselines(tracker, "shop"), tracker=gone).read_fingerprint(NEVER)
    with pytest.raises(ServiceUnavailable, match=r"profile.json of run .* cannot be read"):
        read_profile(gone, TestProfile().champion(run_id))
