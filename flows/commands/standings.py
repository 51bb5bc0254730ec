"""How things stand: the servers, every model with its champion and last verdict, what runs and what comes next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from flows.services.claims import Claim, current_claim
from tasks.errors import ConfigError, ServiceUnavailable
from tasks.homes import DEFAULT, VARIABLE, Home
from tasks.wording import clean

if TYPE_CHECKING:
    from flows.services.flow_runs import Deployed, FlowRun

RETRAIN = "retrain"
MOST_MODELS = 1000
NOTHING = "-"


@dataclass(frozen=True)
class Going:
    """What Prefect's server says: runs that run or wait for an answer, and deployments."""

    runs: Sequence[FlowRun] = ()
    deployed: Sequence[Deployed] = ()


def read_standing() -> dict[str, Any]:
    """Everything as plain JSON. A server that does not answer is told under `faults`; the rest is there all the same.

    `prefect` and `mlflow` are addresses, None where nothing is up; `pid` is that of `evertune up`.
    """
    home = Home.named(os.environ.get(VARIABLE) or DEFAULT)
    claim, faults = current_claim(home), list[str]()
    prefect, mlflow = _addresses(claim)
    going, histories = _ask_prefect(home, claim, faults), _ask_registry(faults)
    return {
        "home": str(home.root),
        "prefect": prefect,
        "mlflow": mlflow,
        "pid": claim.pid if claim else None,
        "since": claim.since if claim else None,
        "models": [_model(name, histories.get(name), going) for name in sorted({*histories, *_configured(going)})],
        "running": [_run(run) for run in going.runs],
        "scheduled": [_slot(one) for one in going.deployed if one.next],
        "faults": faults,
    }


def show_standing(standing: dict[str, Any], stream: TextIO) -> None:
    """The same for a person."""
    lines = [f"Prefect   {standing['prefect'] or 'not up'}", f"MLflow    {standing['mlflow'] or 'not up'}"]
    if standing["pid"]:
        lines.append(f"up        process {standing['pid']}, since {standing['since']}")
    elif not standing["prefect"]:
        lines.append("          evertune up CONFIGS... starts both, and runs what is scheduled")
    lines += [f"fault     {clean(fault)}" for fault in standing["faults"]]
    for model in standing["models"]:
        lines += ["", *_say_model(model)]
    if not standing["models"]:
        lines += ["", f"No model was retrained in {standing['home']} yet."]
    others = [run for run in standing["running"] if run["flow"] != RETRAIN]
    lines += [f"\nruns      {clean(run['flow'])} {clean(run['name'])}" for run in others]
    print("\n".join(lines), file=stream)


def _say_model(model: dict[str, Any]) -> list[str]:
    champion, last = model["champion"], model["last"]
    lines = [clean(model["model"])]
    if champion:
        through = f", trained through {_day(champion['trained_through'])}" if champion["trained_through"] else ""
        lines.append(f"  champion  v{champion['version']} since {_day(champion['since'])}{through}")
    else:
        lines.append("  champion  none")
    if model["waiting"]:
        lines.append(f"  waits     v{model['waiting']}: evertune promote {model['model']}, or evertune reject {model['model']}")
    if last:
        lines.append(f"  last      {last['verdict']}, as of {_day(last['as_of'])}, at {last['at'][:16]}: {clean(last['reason'], 160)}")
    lines += [f"  {'asks' if run['state'] == 'suspended' else 'runs':<8}  {clean(run['name'])}: {run['state']}" for run in model["running"]]
    lines += [f"  next      {slot['at'][:16]} ({slot['deployment']})" for slot in model["next"]]
    return lines


def _addresses(claim: Claim | None) -> tuple[str | None, str | None]:
    """Of the servers that the environment names, else of `evertune up`."""
    from flows.services.preflight import without_user

    api_url, tracker = os.environ.get("PREFECT_API_URL", ""), os.environ.get("MLFLOW_TRACKING_URI", "")
    prefect = without_user(api_url)[0].removesuffix("/api") if api_url else (claim and claim.prefect) or None
    served = tracker.startswith("http")
    mlflow = without_user(tracker)[0] if served else (claim and claim.mlflow) or None
    return prefect, mlflow


def _ask_prefect(home: Home, claim: Claim | None, faults: list[str]) -> Going:
    """What the server that the environment names says, else that of `evertune up`; nothing where there is none."""
    from flows.services.preflight import ask_all, prefect_service
    from flows.services.servers import client_of

    given = os.environ.get("PREFECT_API_URL")
    if not given and not (claim and claim.prefect):
        return Going()
    service = prefect_service(os.environ)
    found = ask_all([service]) if service else []
    faults += found
    if found:
        return Going()
    import httpx

    try:
        with nullcontext() if given or claim is None else client_of(home, f"{claim.prefect}/api"):
            return _read_going()
    except httpx.HTTPError as error:
        faults.append(f"Prefect's server does not answer: {error or type(error).__name__}")
        return Going()


def _read_going() -> Going:
    from prefect.client.orchestration import get_client

    from flows.services.flow_runs import FlowRuns

    with get_client(sync_client=True) as client:
        runs = FlowRuns(client)
        return Going([*runs.running(), *runs.waiting()], runs.deployed())


def _ask_registry(faults: list[str]) -> dict[str, dict[str, Any]]:
    """Model -> its history; none where nothing was retrained here yet."""
    from flows.commands.histories import read_history
    from flows.services.registries import open_registry

    try:
        with open_registry() as (tracker, _):
            names = [model.name for model in tracker.client.search_registered_models(max_results=MOST_MODELS)]
            return {name: read_history(tracker, name) for name in names}
    except ConfigError:  # there is no store yet
        return {}
    except ServiceUnavailable as error:
        faults.append(str(error))
        return {}


def _configured(going: Going) -> set[str]:
    """Models that have a deployment, and perhaps no version yet."""
    return {one.model for one in going.deployed if one.flow == RETRAIN}


def _model(name: str, history: dict[str, Any] | None, going: Going) -> dict[str, Any]:
    from tasks.registry import ALIAS, CHALLENGER

    versions = history["versions"] if history else []
    lines = [*versions, *(history["retrains"] if history else [])]
    aliases = history["aliases"] if history else {}
    champion = next((version for version in versions if version["version"] == aliases.get(ALIAS)), None)
    last = max(lines, key=lambda line: str(line["at"]), default=None)
    return {
        "model": name,
        "champion": champion and {"version": champion["version"], "since": champion["champion_since"], **_trained(champion)},
        "waiting": aliases.get(CHALLENGER),
        "last": last and {key: last.get(key) for key in ("verdict", "as_of", "at", "reason")},
        "running": [_run(run) for run in going.runs if run.flow == RETRAIN and run.model == name],
        "next": [_slot(one) for one in going.deployed if one.next and one.flow == RETRAIN and one.model == name],
    }


def _trained(version: dict[str, Any]) -> dict[str, Any]:
    return {"trained_through": version["trained_through"]}


def _run(run: FlowRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "flow": run.flow,
        "deployment": run.deployment,
        "state": run.verdict,
        "since": _iso(run.started),
    }


def _slot(one: Deployed) -> dict[str, Any]:
    return {"flow": one.flow, "deployment": one.name, "at": _iso(one.next)}


def _iso(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).isoformat(timespec="seconds") if instant else None


def _day(text: str | None) -> str:
    return text[:10] if text else NOTHING
