"""Chapter: what this search and those of earlier retrains have in common."""

from __future__ import annotations

from datetime import datetime

from tasks.records import Story
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row, name_some
from tasks.reports.history import AtEdge, PastSearch, memory_wins, never_mattered, often_at_edge, past_of, read_past, share_until_best
from tasks.wording import NOTHING, say_count, say_duration, say_moment, say_number, say_share

MOST = 8


def tell_retrains(story: Story) -> Chapter | None:
    """The last eight retrains' searches; nothing where there are not two."""
    past = [one for content in story.earlier if (one := read_past(content)) is not None]
    if story.search is not None:
        past.append(past_of(story.search, story.result.as_of))
    past = past[-MOST:]
    if len(past) < 2:
        return None
    grids = (_table(past), _at_edges(past))
    return Chapter("Across retrains", tuple(_sentences(past)), grids=tuple(grid for grid in grids if grid is not None))


def _sentences(past: list[PastSearch]) -> list[str]:
    won, could = memory_wins(past)
    sentences = [f"A setting of an earlier retrain was chosen in {won} of {say_count(could, 'retrain')} that had one to start from."]
    if idle := never_mattered(past):
        sentences.append(
            f"Never mattered (less than 2 % of the importance each time): {name_some(idle)}; fix them, and the search is shorter."
        )
    sentences.append("Scores of different retrains are of different rows: they do not say which setting is better.")
    return sentences


def _table(past: list[PastSearch]) -> Grid:
    several = len({one.family for one in past}) > 1
    headings = ("As of", "Trials", "Time", "Time to best", *(("Family",) if several else ()), "Chosen from", "Score")
    return Grid(headings, tuple(_row(one, several) for one in reversed(past)), "Searches")


def _row(one: PastSearch, several: bool) -> Row:
    until = share_until_best(one)
    share = "" if until is None else say_share(until)
    return (
        Cell(_say_date(one.as_of)),
        Cell(f"{one.trials:,}", number=True),
        Cell(say_duration(one.seconds), number=True),
        Cell(NOTHING if one.seconds_to_best is None else say_duration(one.seconds_to_best), number=True, note=share),
        *((Cell(one.family),) if several else ()),
        Cell(one.origin or NOTHING),
        Cell(NOTHING if one.value is None else say_number(one.value, zeros=True), number=True, tone="quiet"),
    )


def _at_edges(past: list[PastSearch]) -> Grid | None:
    rows = tuple(_edge_row(found, past) for found in often_at_edge(past))
    return Grid(("Parameter", "Chosen at", "Retrains", "Last values"), rows, "At the end of its range again and again") if rows else None


def _edge_row(found: AtEdge, past: list[PastSearch]) -> Row:
    values = [say_number(one.settings[found.name], digits=3) for one in past if found.name in one.settings][-4:]
    return (
        Cell(found.name, code=True),
        Cell(f"the {found.edge} end", tone="warn"),
        Cell(f"{found.times} of {found.retrains}", number=True),
        Cell(", ".join(values)),
    )


def _say_date(as_of: str) -> str:
    try:
        return say_moment(datetime.fromisoformat(as_of))
    except ValueError:
        return as_of
