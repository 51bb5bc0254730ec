"""Stage: put the candidate into the registry. The alias moves last, and is the one commit point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from tasks.errors import Conflict
from tasks.leases import Lease
from tasks.models.model import Fitted
from tasks.records import Champion
from tasks.registry import Move, await_review, find_version, make_champion, read_entry, register, save_model
from tasks.registry.proving import Proof, prove_servable
from tasks.registry.versions import DIGEST, JUDGED_AGAINST, PENDING, PROMOTED, REJECTED, TARGET, moment, require_version, tell_version
from tasks.stage import stage
from tasks.tracking import Run, Tracker

EXAMPLES = 200


@stage("register")
def register_model(
    run: Run,
    fitted: Fitted,
    frame: pd.DataFrame,
    name: str,
    identity: str,
    tags: dict[str, Any],
    champion: Champion | None,
    lease: Lease | None = None,
    promote: bool = True,
    prove: Callable[[str, Fitted, pd.DataFrame], Proof] = prove_servable,
) -> str:
    """Log the model, prove that it can be served, register a version; then move the alias, or let it wait for a person.

    Returns the version. `champion` is the live one that it was judged against. Until the alias moves, everything can be
    thrown away. A version that an earlier process of the same identity registered is used again. Raises TrainingFailed, or
    Conflict when the alias was moved meanwhile, the lease is lost, or a person has taken that version back or rejected it.
    """
    told = {**tags, JUDGED_AGAINST: champion.version if champion else "", TARGET: fitted.target.column, "evertune.run_id": run.id}
    version = find_version(run.tracker, name, identity)
    if version is None:
        example = frame.sample(min(EXAMPLES, len(frame)), random_state=0)
        uri = save_model(run, fitted, example, name, tags)
        told[DIGEST] = prove(uri, fitted, example).digest
        waiting = {} if promote else {PENDING: moment()}  # from its first moment on, whenever this process is killed
        version = register(run.tracker, name, uri, run.id, {**told, **waiting}, identity, lease)
    else:
        if promote:
            _refuse_decided(run.tracker, name, version)
        tell_version(run.tracker, name, version, told, lease)
    if promote:
        move = Move(f"retrain {run.id}", str(tags.get("evertune.reason", "")))
        make_champion(run.tracker, name, version, champion.version if champion else None, lease, move)
    else:
        await_review(run.tracker, name, version, lease)
    return version


def _refuse_decided(tracker: Tracker, name: str, version: str) -> None:
    """Raises Conflict where a person has said no to this very version since; a kill before the alias leaves neither tag."""
    entry = read_entry(tracker, name)
    found = require_version(entry, version)
    if found is entry.champion or not (PROMOTED in found.tags or REJECTED in found.tags):
        return
    said = "was rejected" if REJECTED in found.tags else "was champion already and was taken back"
    raise Conflict(
        f"this retrain comes to v{version} of {name} again, which {said}; it does not go live by itself: --force trains anew, "
        f"evertune history {name} tells who decided and why"
    )
