"""Tables of settings: what was trained with, beside what the champion was trained with."""

from __future__ import annotations

import re

from tasks.records import Hyperparameters, Search, Story, Trial
from tasks.reports.chapters.page import Cell, Grid, Row
from tasks.reports.dimensions import find_dimensions, shown
from tasks.settings import Scalar
from tasks.wording import NOTHING, say_count, say_number

MANY = 12
"""More settings than this that are as they were, or that nothing is compared with, are folded away."""
MEMBER = re.compile(r"(\d+)\.(.+)", re.DOTALL)
"""A setting of one of a blend's models: its number and the setting's own name."""
WHERE = "report.html and best_hyperparameters.json have them"


def tell_settings(story: Story) -> tuple[Grid, ...]:
    """Changed settings first; a blend's models side by side. Nothing where nothing was trained."""
    trained = shown(story.search) if story.search is not None else None
    own = story.result.hyperparameters
    extra = {name: value for name, value in trained.choices.items() if "." in name} if trained is not None else {}
    if own and all(map(MEMBER.fullmatch, own)):
        blend = (_tell_members(own),)
        return (*blend, *_tell_list(extra, _find_ends(story.search, trained), "Processing")) if extra else blend
    settings = {**own, **extra}
    if not settings:
        return ()
    ends = _find_ends(story.search, trained)
    if story.champion is None or story.champion.family != story.family:
        return _tell_list(settings, ends)
    return _tell_changes(settings, story.champion.hyperparameters, ends, f"Champion v{story.champion.version}")


def _tell_members(own: Hyperparameters) -> Grid:
    """A row for each setting, a column for each model: forty lines in ten."""
    members: dict[str, Hyperparameters] = {}
    for key, value in own.items():
        if match := MEMBER.fullmatch(key):
            members.setdefault(match[1], {})[match[2]] = value
    names = dict.fromkeys(name for member in members.values() for name in member)
    rows = tuple(
        (Cell(name, code=True), *(Cell(say_number(member.get(name)), number=True) for member in members.values())) for name in names
    )
    title = f"Settings of the blend's {say_count(len(members), 'model')}"
    brief = f"A blend of {say_count(len(members), 'model')} with {say_count(len(own), 'setting')} in all: {WHERE}."
    return Grid(("Setting", *(f"Model {number}" for number in members)), rows, title, folded=True, brief=brief)


def _tell_list(settings: Hyperparameters, ends: dict[str, str], title: str = "Settings") -> tuple[Grid, ...]:
    rows: tuple[Row, ...] = tuple((Cell(name, code=True), _now(name, value, ends, False)) for name, value in settings.items())
    folded = len(rows) > MANY
    brief = f"{say_count(len(rows), 'setting')}: {WHERE}." if folded else ""
    return (Grid(("Setting", "Value"), rows, f"{title} ({len(rows)})" if folded else title, folded, brief),)


def _tell_changes(now: Hyperparameters, before: Hyperparameters, ends: dict[str, str], champion: str) -> tuple[Grid, ...]:
    """All in one table where they are few, else those that changed, and the others on demand."""
    rows, headings = compare_settings(now, before, ends), ("Setting", "Now", champion, "")
    changed = tuple(row for row in rows if row[-1].text)
    same = rows[len(changed) :]
    if len(same) <= MANY:
        return (Grid(headings, rows, "Settings"),)
    rest = Grid(headings, same, f"Settings that stayed ({len(same)})", folded=True, brief=f"{len(same)} settings stayed: {WHERE}.")
    return (Grid(headings, changed, "Settings that changed"), rest) if changed else (rest,)


def compare_settings(now: Hyperparameters, before: Hyperparameters, ends: dict[str, str] | None = None) -> tuple[Row, ...]:
    """A row for each setting of either side, changed ones first; `ends` says which values lie at an end of their range."""
    names = [*now, *(name for name in before if name not in now)]
    changed = {name: name not in now or name not in before or now[name] != before[name] for name in names}
    return tuple(
        (
            Cell(name, code=True),
            _now(name, now.get(name), ends or {}, changed[name]),
            Cell(say_number(before.get(name)), number=True, tone="quiet"),
            Cell("changed" if changed[name] else "", tone="quiet"),
        )
        for name in sorted(names, key=lambda name: not changed[name])
    )


def _find_ends(search: Search | None, trained: Trial | None) -> dict[str, str]:
    """Chosen values at an end of their range, in words: a better one may lie beyond it."""
    if search is None or trained is None:
        return {}
    values, found = {**trained.hyperparameters, **trained.choices}, {}
    for name, dimension in find_dimensions(search, [trained]).items():
        if edge := dimension.edge(values[name]):
            found[name] = f"at the {edge} end of {say_number(dimension.low)} to {say_number(dimension.high)}"
    return found


def _now(name: str, value: Scalar | None, ends: dict[str, str], strong: bool) -> Cell:
    return Cell(NOTHING if value is None else say_number(value), note=ends.get(name, ""), number=True, strong=strong)
