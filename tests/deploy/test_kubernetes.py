"""deploy/kubernetes: valid for the API, confined, and the same settings as deploy/compose.yaml has."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.topology import SECRETS, read_services

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.30", "1.34")
TEMPLATE = json.loads((FOLDER / "work-pool.json").read_text())
PLACEHOLDER = re.compile(r"\{\{ (\w+) \}\}")


def listed() -> list[dict[str, Any]]:
    """Every object that the kustomization applies."""
    names = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [found for name in names for found in yaml.safe_load_all((FOLDER / name).read_text())]


def job() -> dict[str, Any]:
    """A flow run's job with every default of the template filled in."""
    defaults = {name: field.get("default", "x") for name, field in TEMPLATE["variables"]["properties"].items()}
    defaults |= {"env": [{"name": "A", "value": "b"}], "labels": {"a": "b"}, "command": ["prefect", "flow-run", "execute"]}

    def fill(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: fill(value) for key, value in part.items()}
        if isinstance(part, list):
            return [fill(value) for value in part]
        whole = PLACEHOLDER.fullmatch(part) if isinstance(part, str) else None
        return (
            defaults[whole[1]] if whole else PLACEHOLDER.sub(lambda found: str(defaults[found[1]]), part) if isinstance(part, str) else part
        )

    filled: dict[str, Any] = fill(TEMPLATE["job_configuration"]["job_manifest"])
    return filled


def pods() -> dict[str, dict[str, Any]]:
    """Name -> pod, of everything that runs, flow runs too."""
    running = {found["metadata"]["name"]: found["spec"]["template"]["spec"] for found in listed() if found["kind"] in ("Deployment", "Job")}
    return {**running, "flow run": job()["spec"]["template"]["spec"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(version: str) -> None:
    for found in [*listed(), job()]:
        kubernetes_validate.validate(found, version, strict=True)


def test_nothing_is_root_or_writes_beside_its_volumes() -> None:
    for name, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["enableServiceLinks"] is False, "a service called prefect makes PREFECT_PORT, which Prefect reads as a setting"
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"], name
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]
            assert re.search(r":\d+\.\d+\.\d+$", container["image"])


def test_only_the_worker_may_ask_kubernetes() -> None:
    assert [name for name, pod in pods().items() if pod.get("automountServiceAccountToken", True)] == ["evertune-worker"]


def test_the_work_pool_keeps_to_prefects_template() -> None:
    views = importlib.resources.files("prefect").joinpath("server/api/collections_data/views/aggregate-worker-metadata.json")
    given = json.loads(views.read_text())["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    known = set(given["job_configuration"])
    assert set(TEMPLATE["job_configuration"]) <= known
    assert set(TEMPLATE["variables"]["properties"]) <= set(given["variables"]["properties"])
    assert set(PLACEHOLDER.findall(json.dumps(TEMPLATE["job_configuration"]))) == set(TEMPLATE["variables"]["properties"])


def test_it_says_what_compose_says() -> None:
    services = read_services(dict.fromkeys(SECRETS, "secret"))
    objects = {(found["kind"], found["metadata"]["name"]): found for found in listed()}
    for name in ("prefect", "mlflow"):
        container = objects["Deployment", name]["spec"]["template"]["spec"]["containers"][0]
        assert container["args"] == services[name]["command"]
        for entry in container["env"]:
            assert services[name]["environment"][entry["name"]] == entry["value"]
    settings, worker = objects["ConfigMap", "evertune-clients"]["data"], services["worker"]["environment"]
    assert {name: value for name, value in settings.items() if worker[name] != value} == {}
    assert worker.keys() - settings.keys() == {
        "PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING", "PREFECT_WORKER_QUERY_SECONDS", "PREFECT_WORKER_WEBSERVER_HOST"
    }  # fmt: skip


def test_every_address_is_a_service_that_leads_to_a_port_of_its_pods() -> None:
    services = {found["metadata"]["name"]: found["spec"] for found in listed() if found["kind"] == "Service"}
    text = "".join(path.read_text() for path in (*FOLDER.glob("*.yaml"), FOLDER / "secrets.sh"))
    addresses = set(re.findall(r"(?:tcp|https?)://([a-z][a-z-]+):(\d+)", text))
    addresses = {(name, port) for name, port in addresses if name != "localhost"}
    assert {name for name, _ in addresses} == {"prefect", "mlflow", "dask-scheduler"}
    for name, port in addresses:
        (led,) = services[name]["ports"]
        (container,) = pods()[services[name]["selector"]["app"]]["containers"]
        assert str(led["port"]) == port
        assert led["targetPort"] in {known for entry in container["ports"] for known in (entry["containerPort"], entry.get("name"))}


def test_every_secret_that_is_referred_to_is_made() -> None:
    script = (FOLDER / "secrets.sh").read_text()
    made = set(re.findall(r"^make ([a-z-]+) <<", script, re.MULTILINE))
    wanted = set(re.findall(r"secretRef: \{name: ([a-z-]+)\}", "".join(path.read_text() for path in FOLDER.glob("*.yaml"))))
    assert made == wanted
    example = {line.partition("=")[0] for line in (FOLDER / "secrets.env.example").read_text().splitlines() if re.match("[A-Z]", line)}
    assert example == SECRETS - {"POSTGRES_PASSWORD"}


def test_the_script_makes_each_secret_and_asks_for_what_is_missing(tmp_path: Path) -> None:
    kubectl, given = tmp_path / "kubectl", tmp_path / "secrets.env"
    kubectl.write_text('#!/bin/sh\necho "$@" >> "$TOLD"\ncat >> "$TOLD"\n')
    kubectl.chmod(0o755)
    given.write_text("".join(f"{name}={name.lower()}\n" for name in sorted(SECRETS)))
    environment = {"PATH": "/usr/bin:/bin", "KUBECTL": str(kubectl), "TOLD": str(tmp_path / "told")}
    subprocess.run(["sh", FOLDER / "secrets.sh", given], env=environment, check=True)
    told = (tmp_path / "told").read_text()
    assert told.count("create secret generic") == 3
    assert "PREFECT_API_AUTH_STRING=admin:prefect_password" in told
    given.write_text("PREFECT_DB_PASSWORD=x\n")
    refused = subprocess.run(["sh", FOLDER / "secrets.sh", given], env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "MLFLOW_DB_PASSWORD: set it in" in refused.stderr
