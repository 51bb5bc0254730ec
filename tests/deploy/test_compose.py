"""deploy/compose.yaml says what the real programs understand, opens nothing, and holds no secret."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from mlflow import environment_variables
from prefect.settings import get_current_settings
from prefect.settings.legacy import _get_settings_fields

from flows.services.preflight import identity
from tests.topology import COMPOSE, EXAMPLE, SECRETS, VARIABLE, interpolate, read_services

FILLED = dict.fromkeys(SECRETS, "secret")
SCRIPT = COMPOSE.parent / "postgres" / "databases.sh"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return read_services(FILLED)


def example() -> dict[str, str]:
    """The variables of .env.example and their values."""
    return dict(line.split("=", 1) for line in EXAMPLE.read_text().splitlines() if re.match(r"[A-Z_]+=", line))


def test_it_follows_the_specification() -> None:
    schema = json.loads(importlib.resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text())
    assert [error.message for error in Draft7Validator(schema).iter_errors(yaml.safe_load(COMPOSE.read_text()))] == []


def test_every_variable_is_in_the_example_and_no_other() -> None:
    assert {found["name"] for found in VARIABLE.finditer(COMPOSE.read_text())} == set(example())


def test_a_secret_has_no_default_and_is_asked_for_by_name() -> None:
    for found in VARIABLE.finditer(COMPOSE.read_text()):
        assert (found["kind"] == ":?") == (found["name"] in SECRETS), found[0]
    assert {name for name, value in example().items() if not value} == SECRETS
    with pytest.raises(KeyError, match=r"set it in deploy/\.env"):
        interpolate(COMPOSE.read_text(), example())


def test_what_is_published_is_on_the_loopback_alone(services: dict[str, dict[str, Any]]) -> None:
    published = {name: section["ports"] for name, section in services.items() if "ports" in section}
    assert published == {"prefect": ["127.0.0.1:4200:4200"], "mlflow": ["127.0.0.1:5000:5000"]}
    assert not any(section.get("network_mode") or section.get("privileged") for section in services.values())


def test_images_have_a_version_and_nobody_is_root(services: dict[str, dict[str, Any]]) -> None:
    for name, section in services.items():
        assert re.search(r":\d+\.\d", section["image"]), section["image"]
        assert section["cap_drop"] == ["ALL"]
        assert section["security_opt"] == ["no-new-privileges:true"]
        assert section["mem_limit"], name
        assert section["restart"], name
        assert section["image"].startswith("evertune:") or section["user"] == "postgres"


def test_three_databases(services: dict[str, dict[str, Any]]) -> None:
    prefect, mlflow = services["prefect"], services["mlflow"]
    backend = next(word for word in mlflow["command"] if word.startswith("--backend-store-uri=")).partition("=")[2]
    addresses = [
        prefect["environment"]["PREFECT_SERVER_DATABASE_CONNECTION_URL"],
        backend,
        services["worker"]["environment"]["EVERTUNE_STUDIES_URL"],
    ]
    assert [address.rpartition("/")[2] for address in addresses] == ["prefect", "mlflow", "studies"]
    assert len({identity(address) for address in addresses}) == 3
    assert "for name in prefect mlflow studies" in SCRIPT.read_text()


def test_prefect_knows_every_setting(services: dict[str, dict[str, Any]]) -> None:
    known = set(_get_settings_fields(type(get_current_settings())))
    named = {name for section in services.values() for name in section.get("environment", {}) if name.startswith("PREFECT_")}
    assert named - known - {"PREFECT_DB_PASSWORD", *ALIASES} == set()


ALIASES = {"PREFECT_SERVER_CSRF_PROTECTION_ENABLED", "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"}
"""Names that the settings take beside their own; that they work is seen in tests/flows/test_topology.py."""


def test_mlflow_knows_every_variable(services: dict[str, dict[str, Any]]) -> None:
    given = {name for section in services.values() for name in section.get("environment", {}) if name.startswith("MLFLOW_")}
    unknown = {name for name in given - {"MLFLOW_DB_PASSWORD"} if not hasattr(environment_variables, name)}
    assert unknown == set()


def test_the_programs_know_every_option(services: dict[str, dict[str, Any]]) -> None:
    for service, words in (
        ("mlflow", ["mlflow", "server"]),
        ("worker", ["prefect", "worker", "start"]),
        ("dask-worker", ["dask", "worker"]),
    ):
        program = str(Path(sys.executable).parent / words[0])
        told = subprocess.run([program, *words[1:], "--help"], capture_output=True, text=True, check=True).stdout
        options = {word.partition("=")[0] for word in services[service]["command"] if word.startswith("--")} - {"--no-prompt"}
        assert {option for option in options if option not in told} == set()


def test_a_worker_gets_no_key_but_its_own(services: dict[str, dict[str, Any]]) -> None:
    wanted = {
        found["name"]
        for value in yaml.safe_load(COMPOSE.read_text())["x-worker-environment"].values()
        for found in VARIABLE.finditer(value)
    }
    assert wanted == {"STUDIES_DB_PASSWORD", "MLFLOW_PASSWORD", "PREFECT_PASSWORD", "PREFECT_PORT", "MLFLOW_PORT"}
    assert services["deploy"]["environment"] == services["worker"]["environment"]
