"""Tables of a search's trials: the best ten, their settings, the best of each family and origin, and what failed."""

from __future__ import annotations

from collections.abc import Callable

from tasks.records import Search, Trial
from tasks.reports.chapters.page import Cell, Grid, Row, name_some, without_empty
from tasks.reports.dimensions import find_dimensions, ranked, settings_of, shown
from tasks.reports.iterations import marks
from tasks.wording import NOTHING, say_duration, say_number

LEADERS, COMPARED, MOST_FAULTS, MOST_GROUPS = 10, 5, 5, 12


def tell_leaders(search: Search) -> Grid | None:
    """The ten best trials, and the one that is trained when it is none of them."""
    best = ranked(search)
    trained = shown(search)
    rows = best[:LEADERS] + [trial for trial in best[LEADERS:] if trained is not None and trial.number == trained.number]
    if not rows:
        return None
    several = len({trial.family for trial in search.trials}) > 1
    headings = ("Trial", search.metric, "Folds", *(("Family",) if several else ()), "From", "Rounds", "Size", "Time", "")
    every = f"All {len(best)} finished trials" if len(best) > 1 else "The only finished trial"
    title = f"The best {len(rows)} of {len(best):,} finished trials" if len(rows) < len(best) else every
    return without_empty(Grid(headings, tuple(_leader(search, trial, several) for trial in rows), title))


def _leader(search: Search, trial: Trial, several: bool) -> Row:
    rounds = sorted(score.rounds for score in trial.scores if score.rounds is not None)
    folds = trial.fold_values
    spread = f"{say_number(min(folds), zeros=True)} to {say_number(max(folds), zeros=True)}" if len(folds) > 1 else ""
    word = marks(search, trial)
    return (
        Cell(str(trial.number), number=True, strong=bool(word)),
        Cell(say_number(trial.value, zeros=True), number=True, strong=bool(word)),
        Cell(spread, tone="quiet"),
        *((Cell(trial.family),) if several else ()),
        Cell(trial.origin, tone="plain" if trial.origin != "search" else "quiet"),
        Cell(say_number(rounds[len(rounds) // 2]) if rounds else NOTHING, number=True),
        Cell(NOTHING if trial.size is None else f"{trial.size:,.0f}", number=True),
        Cell(say_duration(trial.seconds), number=True),
        Cell(word, tone="good" if word else "plain"),
    )


def tell_settings_of_leaders(search: Search) -> Grid | None:
    """The settings of the five best, and of the trained one, side by side; values at an end of their range are marked."""
    best, trained = ranked(search), shown(search)
    first = best[:COMPARED]
    if trained is not None and trained.number not in {trial.number for trial in first}:
        first = [*first[: COMPARED - 1], trained]
    dimensions = find_dimensions(search, best)
    if len(first) < 2 or not dimensions:
        return None
    rows = []
    for name, dimension in dimensions.items():
        values = [settings_of(trial).get(name) for trial in first]
        ends = ["" if value is None else dimension.edge(value) for value in values]
        cells = [
            Cell(say_number(value), number=True, note={"lower": "low end", "upper": "high end"}.get(end, ""))
            for value, end in zip(values, ends, strict=True)
        ]
        rows.append((Cell(name, code=True), *cells))
    headings = ("Setting", *(f"Trial {trial.number}" for trial in first))
    return Grid(headings, tuple(rows), f"Settings of {len(first)} of the best", folded=True)


def tell_families(search: Search) -> Grid | None:
    """The best trial of each family, where there are several."""
    return _groups(search, lambda trial: trial.family, "Family", "The best of each family")


def tell_origins(search: Search) -> Grid | None:
    """What each retrain before, the defaults, the portfolio and the search itself came to, where there are several."""
    return _groups(search, lambda trial: trial.origin, "Settings from", "Where good settings came from")


def _groups(search: Search, key: Callable[[Trial], str], heading: str, title: str) -> Grid | None:
    names = list(dict.fromkeys(key(trial) for trial in search.trials))
    if len(names) < 2:
        return None
    best: dict[str, Trial] = {}
    for trial in ranked(search):
        best.setdefault(key(trial), trial)
    order = sorted(names, key=lambda name: list(best).index(name) if name in best else len(best))
    rows = tuple(_group(search, name, [trial for trial in search.trials if key(trial) == name], best.get(name)) for name in order)
    return Grid((heading, "Trials", "Finished", "Time", f"Best {search.metric}", "Trial", ""), rows[:MOST_GROUPS], title)


def _group(search: Search, name: str, trials: list[Trial], best: Trial | None) -> Row:
    word = ", ".join(dict.fromkeys(word for trial in trials for word in marks(search, trial).split(", ") if word))
    return (
        Cell(name),
        Cell(f"{len(trials):,}", number=True),
        Cell(f"{sum(trial.state == 'finished' for trial in trials):,}", number=True),
        Cell(say_duration(sum(trial.seconds for trial in trials)), number=True),
        Cell(NOTHING if best is None else say_number(best.value, zeros=True), number=True),
        Cell(NOTHING if best is None else str(best.number), number=True),
        Cell(word, tone="good" if word else "plain"),
    )


def tell_failures(search: Search) -> Grid | None:
    """What failed trials said, each message once, the commonest first."""
    said: dict[str, list[int]] = {}
    for trial in search.trials:
        if trial.state == "failed":
            said.setdefault(trial.error, []).append(trial.number)
    first = sorted(said.items(), key=lambda item: -len(item[1]))[:MOST_FAULTS]
    if not first:
        return None
    rows: tuple[Row, ...] = tuple(
        (Cell(name_some(list(map(str, trials)), 4), number=True), Cell(error or NOTHING, code=bool(error))) for error, trials in first
    )
    failed = search.count("failed")
    return Grid(("Trials", "Error"), rows, f"Failed trials ({failed})", folded=failed < len(search.trials))
