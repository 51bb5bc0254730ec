"""Aliases: `champion` is the one commit point, `previous` the way back, `challenger` what waits for a person.

Tags are written around the alias so that a run that is killed leaves one of three states, each of which the next run, or
the next command, repairs by itself: a version without the alias (the same retrain finds it by its identity and goes on),
an alias without its record (INTENT says by whom it was moved, and over which record: that is finished), or a record
without `previous` or `challenger` in their places (they follow from the tags).

MLflow has no compare-and-set. The lease keeps retrains and commands apart; the champion is read again right before the
alias is written, and right after. What remains: a hand in MLflow that moves the alias within the milliseconds between our
last look and our write is overwritten unseen; and a process that is stopped in that very moment for longer than the lease
overwrites what was promoted meanwhile. That one finds out when it wakes up, says so, and the next run puts it right.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tasks.errors import Conflict, ServiceUnavailable
from tasks.leases import Lease
from tasks.registry.versions import (
    ALIAS,
    CHALLENGER,
    PENDING,
    PREVIOUS,
    PROMOTED,
    PROMOTED_BY,
    REIGN,
    REJECTED,
    REPLACED,
    Entry,
    add_to_log,
    drop_tags,
    moment,
    read_entry,
    require_version,
    set_tags,
)
from tasks.tracking import Tracker

INTENT = "evertune.promoting"
"""Written before the alias, gone after the record: JSON of a Move and `recorded`, the last champion by the tags of then."""
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Move:
    """Who makes a version champion, and why."""

    by: str
    why: str
    act: Literal["promoted", "rolled back", "moved by hand"] = "promoted"


def make_champion(tracker: Tracker, name: str, version: str, before: str | None, lease: Lease | None, move: Move) -> None:
    """Point the alias at the version: the one commit point. Then `previous`, `challenger` and the tags follow.

    `before` is the champion that the version was judged against, None for none. Does nothing twice: where the alias is
    there already, only the record is finished. Raises Conflict, and leaves the alias alone, when somebody moved it since,
    or took the lease; ServiceUnavailable when the record could not be finished, which the next run, or command, does.
    """
    entry = read_entry(tracker, name)
    intent: dict[str, str] = {}
    if entry.aliases.get(ALIAS) != version:
        _require_champion(entry, before)
        intent = {INTENT: json.dumps({**asdict(move), "recorded": _recorded(entry)})}
        set_tags(tracker, require_version(entry, version), intent)
        _check(lease)
        _require_champion(read_entry(tracker, name), before)
        tracker.client.set_registered_model_alias(name, ALIAS, version)
    try:
        if intent:
            _look_again(tracker, name, version, intent, lease)
        repair_aliases(tracker, name, lease)
    except ServiceUnavailable as error:
        raise ServiceUnavailable(f"v{version} of {name} is live, but not all of that is noted in the registry yet: {error}") from error


def _look_again(tracker: Tracker, name: str, version: str, intent: dict[str, str], lease: Lease | None) -> None:
    """Right after the alias was set: raises Conflict where it was moved on, or the lease is lost."""
    entry = read_entry(tracker, name)
    if (now := entry.aliases.get(ALIAS)) != version:
        drop_tags(tracker, require_version(entry, version), INTENT)
        raise Conflict(f"the champion of {name} was moved to v{now or '-'} just after this run had made it v{version}; it was left there")
    try:
        _check(lease)
    except Conflict as error:
        set_tags(tracker, require_version(entry, version), intent)  # whoever holds the lease may have cleared it away
        raise Conflict(
            f"{error}; but the alias of {name} had just been set to v{version}: the next run, or command, sets it back"
        ) from error


def await_review(tracker: Tracker, name: str, version: str, lease: Lease | None) -> None:
    """Let a version wait for a person, as `challenger`; one that was rejected, or is the champion, does not wait again."""
    _check(lease)
    entry = read_entry(tracker, name)
    found = require_version(entry, version)
    if found is not entry.champion and REJECTED not in found.tags and PENDING not in found.tags:
        set_tags(tracker, found, {PENDING: moment()})
    repair_aliases(tracker, name, lease)


def reject_version(tracker: Tracker, name: str, version: str, lease: Lease | None, by: str, why: str) -> None:
    """A person says no: the version waits no more, and is not proposed again. Raises Conflict for the champion."""
    _check(lease)
    entry = read_entry(tracker, name)
    found = require_version(entry, version)
    if found is entry.champion:
        raise Conflict(f"v{version} is the champion of {name}; to take it down: evertune rollback {name}")
    if REJECTED not in found.tags:
        add_to_log(tracker, found, "rejected", by, why)
        set_tags(tracker, found, {REJECTED: moment()})
    drop_tags(tracker, found, PENDING)
    repair_aliases(tracker, name, lease)


def repair_aliases(tracker: Tracker, name: str, lease: Lease | None) -> None:
    """Put right what a killed run left behind, and take note of an alias that was moved by hand.

    Cheap where nothing is wrong: two reads. Raises Conflict when the lease is lost.
    """
    entry = read_entry(tracker, name)
    live, last, recorded = entry.champion, entry.last_recorded, _recorded(entry)
    intent = _read_intent(live) if live is not None else None
    expected = intent.pop("recorded") if intent is not None else None
    if live is not None and (live is not last or expected == recorded):
        _check(lease)
        if last is not None and expected not in (None, recorded):
            log.warning(
                "the champion of %s was overwritten by v%s, whose run had lost its hold; it is v%s again", name, live.version, recorded
            )
            tracker.client.set_registered_model_alias(name, ALIAS, recorded)
        else:
            move = Move(**intent) if intent else Move("somebody in MLflow", "", "moved by hand")
            before = f"; it was v{recorded}" if recorded else ""
            log.info("%s: v%s is the champion (%s by %s)%s", name, live.version, move.act, move.by, before)
            _record(tracker, live, last, move)
        entry = read_entry(tracker, name)
    for version in entry.versions:
        drop_tags(tracker, version, INTENT)
    _mend_pointers(tracker, entry, lease)


def _record(tracker: Tracker, live: Any, replaced: Any | None, move: Move) -> None:
    """Write down that `live` is the champion now. The reign comes last: before it is there, all of this is done again."""
    add_to_log(tracker, live, move.act, move.by, move.why)
    if replaced is live:  # only its alias was gone: what it replaced, and its reign, are as before
        set_tags(tracker, live, {PROMOTED_BY: move.by, PROMOTED: moment()})
        return
    if replaced is not None:
        add_to_log(tracker, replaced, f"replaced by v{live.version}", move.by, move.why)
    reign = int(replaced.tags.get(REIGN, 0)) + 1 if replaced is not None else 1
    set_tags(tracker, live, {REPLACED: str(replaced.version) if replaced is not None else "", PROMOTED_BY: move.by})
    drop_tags(tracker, live, PENDING, REJECTED)
    set_tags(tracker, live, {PROMOTED: moment(), REIGN: str(reign)})


def _mend_pointers(tracker: Tracker, entry: Entry, lease: Lease | None) -> None:
    """`previous` at what the champion replaced, `challenger` at the newest version that waits and was not overtaken.

    Without a champion nothing is overtaken: its alias may only have been deleted, and come back.
    """
    live, pending = entry.champion, [version for version in entry.versions if PENDING in version.tags]
    waiting = [version for version in pending if live is None or not _is_overtaken(version, live)]
    for version in pending:
        if version not in waiting:
            drop_tags(tracker, version, PENDING)
    _point(tracker, entry, CHALLENGER, waiting[0] if waiting else None, lease)
    replaced = entry.find(live.tags.get(REPLACED)) if live is not None else None
    if replaced is not None or (live is not None and entry.aliases.get(PREVIOUS) == str(live.version)):
        _point(tracker, entry, PREVIOUS, replaced, lease)


def _point(tracker: Tracker, entry: Entry, alias: str, version: Any | None, lease: Lease | None) -> None:
    now, due = entry.aliases.get(alias), None if version is None else str(version.version)
    if now == due:
        return
    _check(lease)
    if due is None:
        tracker.client.delete_registered_model_alias(entry.name, alias)
    else:
        tracker.client.set_registered_model_alias(entry.name, alias, due)


def _is_overtaken(version: Any, live: Any) -> bool:
    """Whether a version that waits was judged against another champion than today's; its own number it keeps."""
    return version is live or version.tags.get("evertune.judged_against", "") != str(live.version)


def _recorded(entry: Entry) -> str:
    """The last champion as far as tags tell; empty for none."""
    return str(entry.last_recorded.version) if entry.last_recorded is not None else ""


def _require_champion(entry: Entry, before: str | None) -> None:
    now = entry.aliases.get(ALIAS)
    if now != before:
        raise Conflict(
            f"the champion of {entry.name} moved from v{before or '-'} to v{now or '-'} since this version was judged; "
            "the alias was left alone"
        )


def _read_intent(version: Any) -> dict[str, Any] | None:
    try:
        told = json.loads(version.tags[INTENT])
        return {"by": str(told["by"]), "why": str(told["why"]), "act": told["act"], "recorded": str(told["recorded"])}
    except KeyError:
        return None
    except (ValueError, TypeError):
        log.warning("the tag %s of %s v%s is not ours, and is left out", INTENT, version.name, version.version)
        return None


def _check(lease: Lease | None) -> None:
    """A lease of None is for whoever is alone with the registry."""
    if lease is not None:
        lease.check()
