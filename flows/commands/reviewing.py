"""`evertune history | promote | reject | rollback`: reviewing the versions of a model.

Whatever changes something does so under the model's lease, beside which no retrain runs, and notes who did it and why.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from flows.commands.moves import tell_move
from flows.services.registries import Review, hold_model, open_registry, unknown_model
from tasks.errors import ConfigError, Conflict

LINES = 20


def add_commands(commands: Any) -> None:
    """Add these commands to the parser; each sets `command` to a function from the parsed options to an exit code."""
    shown = _add(commands, history)
    shown.add_argument("--last", type=_count, default=LINES, metavar="N", help=f"lines to show, the newest ones ({LINES}); 0 for all")
    for command in (promote, reject):
        added = _add(commands, command)
        added.add_argument("version", nargs="?", type=_version, metavar="VERSION", help="such as 3; the one that waits when left out")
        _add_reason(added, force=command is promote)
    added = _add(commands, rollback)
    added.add_argument("--to", type=_version, metavar="VERSION", help="a version that was champion; the previous one when left out")
    _add_reason(added, force=True)


def history(options: argparse.Namespace) -> int:
    """Show the versions of a model: verdict, metric, who made it champion and when; and retrains that registered none."""
    from flows.commands.histories import read_history, show_history

    with open_registry() as (tracker, _):
        found = read_history(tracker, options.name)
        if not (found["versions"] or found["retrains"]):
            raise unknown_model(tracker, options.name)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show_history(found, options.last, sys.stdout)
    return 0


def promote(options: argparse.Namespace) -> int:
    """Make a version the champion. It must have been judged against today's champion; --force lets that be."""
    from tasks.registry import ALIAS, Move, make_champion

    with hold_model(options.name, "evertune promote", options.force) as review:
        version = _chosen(review, options.version)
        before = review.entry.aliases.get(ALIAS)
        if version != before:
            if not options.force:
                _require_judged(review, version, before)
            _require_intact(review, version)
            make_champion(review.tracker, review.name, version, before, review.lease, Move(review.by, options.reason))
        _tell(options, review, "promoted", version, before)
    if version != before:
        tell_move(review, "promoted", version, before, options.reason)
    return 0


def reject(options: argparse.Namespace) -> int:
    """Say no to a version that waits: it is not proposed again, and the champion stays."""
    from tasks.registry import ALIAS, reject_version
    from tasks.registry.versions import PROMOTED

    with hold_model(options.name, "evertune reject") as review:
        version = _chosen(review, options.version)
        if PROMOTED in review.find(version).tags:
            raise ConfigError(f"v{version} of {review.name} was made champion before: there is nothing to reject; see evertune rollback")
        reject_version(review.tracker, review.name, version, review.lease, review.by, options.reason)
        _tell(options, review, "rejected", version, review.entry.aliases.get(ALIAS))
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Put the previous champion back. Rolling back again goes forward again."""
    from tasks.registry import ALIAS, PREVIOUS, Move, make_champion
    from tasks.registry.versions import PROMOTED

    with hold_model(options.name, "evertune rollback", options.force) as review:
        before, version = review.entry.aliases.get(ALIAS), options.to or review.entry.aliases.get(PREVIOUS)
        if version is None:
            raise ConfigError(f"model {review.name} has no previous champion to go back to; name a version that was one: --to VERSION")
        if PROMOTED not in review.find(version).tags:
            raise ConfigError(
                f"--to: v{version} of {review.name} was never champion; to make it one: evertune promote {review.name} {version}"
            )
        if version != before:
            _require_intact(review, version)
            make_champion(review.tracker, review.name, version, before, review.lease, Move(review.by, options.reason, "rolled back"))
        _tell(options, review, "rolled back", version, before)
    if version != before:
        tell_move(review, "rolled back", version, before, options.reason)
    return 0


def _chosen(review: Review, version: str | None) -> str:
    """The version that is named, else the one that waits. Raises ConfigError."""
    from tasks.registry import CHALLENGER

    chosen = version or review.entry.aliases.get(CHALLENGER)
    if chosen is None:
        raise ConfigError(f"no version of {review.name} waits for a person; name one (evertune history {review.name} shows them)")
    review.find(chosen)
    return chosen


def _require_judged(review: Review, version: str, before: str | None) -> None:
    """Raises Conflict unless the version was compared with the champion of now."""
    from tasks.registry.versions import JUDGED_AGAINST, PROMOTED

    tags = review.find(version).tags
    against = tags.get(JUDGED_AGAINST)
    if against == (before or ""):
        return
    name = review.name
    if against is None and PROMOTED not in tags:
        raise Conflict(f"v{version} of {name} was not judged by a retrain; to make it champion all the same: --force")
    advice = f"evertune rollback {name} --to {version}" if PROMOTED in tags else "retrain, which judges anew"
    raise Conflict(
        f"v{version} of {name} was judged against {f'v{against}' if against else 'nobody'}, but the champion is "
        f"{f'v{before}' if before else 'nobody'} now; {advice}, or make it champion all the same with --force"
    )


def _require_intact(review: Review, version: str) -> None:
    """Raises Conflict when the version's files are not those that were registered; without a digest nobody can tell."""
    from tasks.registry.digesting import verify_digest
    from tasks.registry.versions import DIGEST

    found = review.find(version)
    verify_digest(found.source, found.tags.get(DIGEST, ""))


def _tell(options: argparse.Namespace, review: Review, act: str, version: str, before: str | None) -> None:
    """What is so now, in a line or two, or as JSON. Raises Conflict where the alias is not at the version after all."""
    from tasks.registry import ALIAS, CHALLENGER, PREVIOUS, read_entry

    aliases = read_entry(review.tracker, review.name).aliases
    if act != "rejected" and aliases.get(ALIAS) != version:
        raise Conflict(
            f"v{version} of {review.name} is not the champion: somebody moved the alias to v{aliases.get(ALIAS) or '-'} meanwhile; "
            f"see evertune history {review.name}, then try again"
        )
    pointed = {alias: aliases.get(alias) for alias in (ALIAS, PREVIOUS, CHALLENGER)}
    changed = act == "rejected" or version != before
    if options.json:
        told = {"model": review.name, "act": act, "version": version, "changed": changed, "before": before, **pointed}
        print(json.dumps({**told, "by": review.by, "reason": options.reason}, indent=2))
        return
    live, name = pointed[ALIAS], review.name
    if act == "rejected":
        print(f"{name}: v{version} is rejected; " + (f"v{live} stays the champion" if live else "there is no champion"))
    elif not changed:
        print(f"{name}: v{version} is the champion already")
    else:
        print(f"{name}: v{version} is the champion now" + (f", instead of v{before}\n  undo  evertune rollback {name}" if before else ""))


def _add(commands: Any, command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    text = command.__doc__ or ""
    added: argparse.ArgumentParser = commands.add_parser(command.__name__, help=text.split(".")[0], description=text)
    added.set_defaults(command=command)
    added.add_argument("name", metavar="NAME", help="a registered model")
    added.add_argument("--json", action="store_true", help="as one JSON object")
    return added


def _add_reason(added: argparse.ArgumentParser, force: bool) -> None:
    added.add_argument("--reason", default="", metavar="TEXT", help="why; noted with your name and the time")
    if force:
        added.add_argument(
            "--force", action="store_true", help="even against a retrain that holds the model, which then ends with exit code 5"
        )


def _version(text: str) -> str:
    number = text.removeprefix("v")
    if not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a version such as 3")
    return str(int(number))


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)
