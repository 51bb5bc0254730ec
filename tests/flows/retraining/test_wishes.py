"""The run form: what Prefect reads from the flow, and what its answers come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema

from flows.retrain import retrain
from flows.retraining.wishes import read_wished, wished
from tasks.errors import ConfigError
from tasks.records import Verdict
from tests.small import small_config


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(small_config(tmp_path / "shop"))


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    return parameter_schema(retrain).model_dump()["properties"]


def test_every_field_of_the_form_has_title_description_and_default(form: dict[str, Any]) -> None:
    for name, told in form.items():
        assert told["title"][0].isupper(), name
        assert told["description"], name
        assert "default" in told or name == "config"


def test_numbers_choices_and_texts_have_bounds(form: dict[str, Any]) -> None:
    assert (form["trials"]["minimum"], form["trials"]["maximum"]) == (0, 100_000)
    assert (form["minutes"]["minimum"], form["minutes"]["maximum"]) == (0, 10_000)
    assert form["note"]["maxLength"] == 2000
    assert form["families"]["items"]["enum"] == ["lightgbm", "xgboost", "keras", "scikit"]
    assert form["promote"]["enum"] == ["auto", "ask", "never"]


def test_nothing_wished_leaves_the_config_as_it_is(path: str) -> None:
    assert read_wished(path) == read_wished(path, families=["lightgbm"])


def test_wishes_become_settings(path: str) -> None:
    config = read_wished(path, "never", 7, 2.5, ["xgboost", "lightgbm", "xgboost"], {"tuning.average": 2})
    assert (config.tuning.when, config.tuning.trials, config.tuning.minutes, config.tuning.average) == ("never", 7, 2.5, 2)
    assert [config.model.family, *(model.family for model in config.alternatives)] == ["xgboost", "lightgbm"]
    assert config.alternatives[0] == read_wished(path).model


def test_a_family_that_needs_more_than_its_name_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="families scikit: "):
        read_wished(path, families=["scikit"])


@pytest.mark.parametrize(
    ("answer", "promote", "becomes"),
    [("promote", "ask", "ask"), ("promote", "never", "keep"), ("ask", "never", "keep"), ("keep", "ask", "keep"), ("ask", "auto", "ask")],
)
def test_promotion_goes_only_as_far_as_was_wished(answer: Any, promote: Any, becomes: str) -> None:
    assert wished(Verdict(answer, "why"), promote).answer == becomes
