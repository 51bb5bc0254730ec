"""`evertune clean | backup | upgrade`: keeping the state small, safe and up to date."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import Conflict
from tasks.homes import DEFAULT, VARIABLE, Home

if TYPE_CHECKING:
    from flows.keeping.cleaning import Plan, Retention
    from tasks.tracking import Tracker

KEEP = 10
MARKED = (
    "their files are gone, but MLflow's server only marks their rows as deleted; to delete these too, run on the server: "
    "mlflow gc --backend-store-uri DATABASE"
)


def add_commands(commands: Any) -> None:
    """Add these commands to the parser; each sets `command` to a function from the parsed options to an exit code."""
    added = _add(commands, clean)
    added.add_argument("names", nargs="*", metavar="NAME", help="registered models; all when left out")
    added.add_argument("--keep", type=_count, default=KEEP, metavar="N", help=f"keep the N newest retrains of each model ({KEEP})")
    added.add_argument("--older-than", type=_age, metavar="AGE", help="delete only what began longer ago, such as 90d or 12h")
    added.add_argument("--yes", action="store_true", help="really delete; without it nothing is changed")
    added = _add(commands, backup)
    added.add_argument("file", type=Path, metavar="FILE.tar.gz", help="the archive")
    added.add_argument("--restore", action="store_true", help=f"unpack it into {VARIABLE}, which must be empty")
    _add(commands, upgrade)


def clean(options: argparse.Namespace) -> int:
    """Delete old versions, runs, studies and reports. Shows what would go, and why the rest stays; deletes with --yes."""
    from flows.keeping import removing
    from flows.keeping.cleaning import Retention, plan_cleaning, retrained_models
    from flows.keeping.occupancy import housekeeping
    from flows.services.registries import open_registry, unknown_model

    now = datetime.now(UTC)
    retention = Retention(options.keep, None if options.older_than is None else now - options.older_than)
    told: list[dict[str, Any]] = []
    held: list[str] = []
    with open_registry() as (tracker, home):
        there = retrained_models(tracker)
        for name in options.names:
            if name not in there:
                raise unknown_model(tracker, name)
        home.prepare()
        scratch = removing.folder_bytes(removing.dead_scratch(home))
        before = removing.database_bytes(home)
        if not options.yes:
            plans = [plan_cleaning(tracker, name, retention, now) for name in options.names or there]
            told = [_tell(plan, removing.size_of(tracker, home, plan)) for plan in plans]
            compacted = ""
        else:
            with housekeeping(home):
                for name in options.names or there:
                    try:
                        told.append(_clean_model(tracker, home, name, retention))
                    except Conflict as conflict:
                        held.append(str(conflict))
                removing.clear_scratch(home)
                compacted = removing.compact(home)
        shrunk = before - removing.database_bytes(home)
        marked = tracker.uri.startswith("http") and any(model["going"] for model in told)
    total = {"freed": scratch + shrunk + sum(model["bytes"] for model in told), "scratch": scratch, "databases": shrunk}
    notes = [text for text in (compacted, MARKED if marked else "", *held) if text]
    _show({"deleted": options.yes, "models": told, **total, "notes": notes}, options.json)
    return Conflict.exit_code if held else 0


def backup(options: argparse.Namespace) -> int:
    """Write the embedded state into one archive, or bring it back with --restore."""
    from flows.keeping.backups import restore_backup, write_backup

    home = Home.named(_home())
    manifest = (restore_backup if options.restore else write_backup)(home, options.file)
    told = {"file": str(options.file), "home": str(home.root), **{key: manifest[key] for key in ("made", "versions", "schemas")}}
    told["files"] = len(manifest["files"])
    if options.json:
        print(json.dumps(told, indent=2))
    elif options.restore:
        print(f"{home.root}: restored {told['files']:,} files of {manifest['home']} as it was at {told['made']}")
    else:
        print(f"{options.file}: {told['files']:,} files of {home.root}\n  back  {VARIABLE}=FOLDER evertune backup --restore {options.file}")
    return 0


def upgrade(options: argparse.Namespace) -> int:
    """Bring the embedded databases up to the installed libraries, after copies were made beside them."""
    from flows.keeping.upgrading import upgrade_home

    steps = upgrade_home(Home.named(_home()))
    if options.json:
        print(json.dumps({"databases": [{**vars(step), "copy": step.copy and str(step.copy)} for step in steps]}, indent=2))
        return 0
    for step in steps:
        done = f"{step.before or 'none'} -> {step.after}; how it was: {step.copy}" if step.copy else "nothing to do"
        print(f"{step.database}  {step.library}  {done}")
    return 0


def _clean_model(tracker: Tracker, home: Home, name: str, retention: Retention) -> dict[str, Any]:
    """Clean one model under its lease. Raises Conflict while a retrain, or another command, holds it."""
    from flows.keeping import removing
    from flows.keeping.cleaning import plan_cleaning
    from flows.services.preflight import studies_url
    from flows.services.registries import LEASE_SECONDS, reviewer
    from tasks.leases import hold_lease
    from tasks.registry import read_entry, repair_aliases

    with hold_lease(studies_url(home), name, LEASE_SECONDS, f"evertune clean by {reviewer()}") as lease:
        if read_entry(tracker, name).versions:
            repair_aliases(tracker, name, lease)
        plan = plan_cleaning(tracker, name, retention, datetime.now(UTC))
        size = removing.size_of(tracker, home, plan)
        removing.remove(tracker, home, studies_url(home), plan, lease)
    return _tell(plan, size)


def _tell(plan: Plan, size: int) -> dict[str, Any]:
    """A plan as plain JSON."""
    return {
        "model": plan.name,
        "going": [retrain.label + (", deleted in MLflow before" if retrain.marked else "") for retrain in plan.going],
        "orphans": [model.model_id for model in plan.orphans],
        "staying": [{"retrain": retrain.label, "why": reason} for retrain, reason in plan.staying],
        "bytes": size,
    }


def _show(told: dict[str, Any], as_json: bool) -> None:
    from tasks.wording import say_count, say_size

    if as_json:
        print(json.dumps(told, indent=2))
        return
    done = told["deleted"]
    for model in told["models"]:
        going = [say_count(len(model["going"]), "retrain")]
        going += [say_count(len(model["orphans"]), "unused model")] if model["orphans"] else []
        print(f"{model['model']}: {', '.join(going)} {'deleted' if done else 'would go'}, {say_size(model['bytes'])}")
        for label in (*model["going"], *model["orphans"]):
            print(f"  {'gone' if done else 'goes'}   {label}")
        for stays in model["staying"]:
            print(f"  stays  {stays['retrain']}: {stays['why']}")
    print(f"{say_size(told['freed'])} {'freed' if done else 'to free, and what the databases shrink by; to delete it: --yes'}")
    for note in told["notes"]:
        print(note, file=sys.stderr)


def _home() -> str:
    return os.environ.get(VARIABLE) or DEFAULT


def _add(commands: Any, command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    text = command.__doc__ or ""
    added: argparse.ArgumentParser = commands.add_parser(command.__name__, help=text.split(".")[0], description=text)
    added.set_defaults(command=command)
    added.add_argument("--json", action="store_true", help="as one JSON object")
    return added


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of retrains")
    return int(text)


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)([dhw])", text)
    if found is None or int(found[1]) > 36500:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age such as 90d, 12h or 8w")
    return timedelta(**{{"d": "days", "h": "hours", "w": "weeks"}[found[2]]: int(found[1])})
