"""Across retrains: what the searches of a model's earlier retrains have in common. Pure functions over what their runs wrote down.

A past search is read from the memory that each retrain leaves in MLflow (memory.json). Scores of different retrains are of
different rows, so nothing here compares them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.records import Hyperparameters, Search, Trial
from tasks.reports.dimensions import Edge, find_dimensions, settings_of, shown
from tasks.reports.importance import parameter_importance
from tasks.reports.iterations import span

SLIGHT = 0.02
"""A parameter with less than this share of the importance at every retrain never mattered."""
FEWEST = 2
"""Retrains below which nothing is said of all of them."""


@dataclass(frozen=True)
class PastSearch:
    """One retrain's search, as far as it was written down. `seconds_to_best` is how long it took to find the best trial."""

    as_of: str
    metric: str = ""
    trials: int = 0
    seconds: float = 0.0
    seconds_to_best: float | None = None
    value: float | None = None
    family: str = ""
    origin: str = ""
    """Where the chosen setting came from."""
    settings: Hyperparameters = field(default_factory=dict)
    edges: dict[str, Edge] = field(default_factory=dict)
    """Parameters whose chosen value lay at an end of their range -> which."""
    importance: dict[str, float] = field(default_factory=dict)

    @property
    def from_memory(self) -> bool:
        return self.origin not in ("", "search", "defaults", "portfolio")


@dataclass(frozen=True)
class AtEdge:
    """A parameter chosen at the same end of its range again and again: `times` of `retrains` in which it was chosen."""

    name: str
    edge: Edge
    times: int
    retrains: int


def read_past(content: Mapping[str, Any]) -> PastSearch | None:
    """A past search from a memory.json; None for one that makes no sense. What it lacks is left empty."""
    try:
        finalists = content.get("finalists") or [{}]
        chosen = finalists[0]
        settings = dict(chosen.get("choices") or chosen.get("hyperparameters") or {})
        trial = Trial(0, "finished", {}, None, (), 0.0, family=str(chosen.get("family") or ""), choices=settings)
        to_best = content.get("seconds_to_best")
        return PastSearch(
            as_of=str(content["as_of"]),
            metric=str(content.get("metric") or ""),
            trials=sum(int(count) for count in dict(content.get("trials") or {}).values()),
            seconds=float(content.get("seconds") or 0.0),
            seconds_to_best=None if to_best is None else float(to_best),
            value=None if chosen.get("value") is None else float(chosen["value"]),
            family=trial.family,
            origin=str(chosen.get("origin") or ""),
            settings=settings,
            edges=_edges(Search("", (), None, "", 0.0, space=dict(content.get("ranges") or {})), trial),
            importance={str(name): float(share) for name, share in dict(content.get("importance") or {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def past_of(search: Search, as_of: str) -> PastSearch:
    """This retrain's own search, seen like the earlier ones."""
    trained = shown(search)
    if trained is None:
        return PastSearch(as_of, search.metric, len(search.trials), search.seconds)
    return PastSearch(
        as_of=as_of,
        metric=search.metric,
        trials=len(search.trials),
        seconds=search.seconds,
        seconds_to_best=None if search.best is None else span(search.best)[1],
        value=trained.value,
        family=trained.family,
        origin=trained.origin,
        settings=settings_of(trained),
        edges=_edges(search, trained),
        importance=parameter_importance(search),
    )


def often_at_edge(past: Sequence[PastSearch]) -> list[AtEdge]:
    """Parameters chosen at the same end of their range in at least two retrains and at least half of them, the most frequent first."""
    names = dict.fromkeys(name for one in past for name in one.edges)
    found = []
    for name in names:
        there = [one for one in past if name in one.settings]
        for edge in ("lower", "upper"):
            times = sum(one.edges.get(name) == edge for one in there)
            if times >= FEWEST and 2 * times >= len(there):
                found.append(AtEdge(name, edge, times, len(there)))
    return sorted(found, key=lambda one: (-one.times, one.name))


def never_mattered(past: Sequence[PastSearch]) -> list[str]:
    """Parameters with less than two per cent of the importance at every retrain that could tell, of which there are two or more."""
    told = [one.importance for one in past if one.importance]
    names = dict.fromkeys(name for importance in told for name in importance)
    shares = {name: [importance[name] for importance in told if name in importance] for name in names}
    return [name for name, seen in shares.items() if len(seen) >= FEWEST and max(seen) < SLIGHT]


def memory_wins(past: Sequence[PastSearch]) -> tuple[int, int]:
    """In how many retrains a setting of an earlier one was chosen, and in how many it could have been: all but the first."""
    later = past[1:]
    return sum(one.from_memory for one in later), len(later)


def _edges(search: Search, trial: Trial) -> dict[str, Edge]:
    values = settings_of(trial)
    found = {name: dimension.edge(values[name]) for name, dimension in find_dimensions(search, [trial]).items()}
    return {name: edge for name, edge in found.items() if edge}


def share_until_best(one: PastSearch) -> float | None:
    """The share of the search that it took to find the best trial; None where it is not known."""
    if one.seconds_to_best is None or not one.seconds > 0 or not math.isfinite(one.seconds_to_best):
        return None
    return min(1.0, one.seconds_to_best / one.seconds)
