"""Chapter: the verdicts and scores of earlier retrains, and what this search and theirs have in common."""

from __future__ import annotations

from datetime import datetime

from tasks.records import PastScore, Story
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row, Tone, name_some
from tasks.reports.history import AtEdge, PastSearch, memory_wins, never_mattered, often_at_edge, past_of, read_past, share_until_best
from tasks.wording import NOTHING, say_count, say_duration, say_moment, say_number, say_share

MOST = 8
PLOTS = ("score_history",)
TONES: dict[str, Tone] = {"promoted": "good", "ask": "warn", "data_rejected": "bad", "failed": "bad"}
UNLIKE = "Scores of different retrains are of different rows: they do not say which model or setting is better."


def tell_retrains(story: Story) -> Chapter | None:
    """The last eight retrains; nothing where there is no earlier one. Their searches are compared where there are two."""
    past = [one for content in story.earlier if (one := read_past(content)) is not None]
    if story.search is not None:
        past.append(past_of(story.search, story.result.as_of))
    past = past[-MOST:] if len(past) > 1 else []
    if not past and not story.past:
        return None
    grids = (_verdicts(story), _table(past), _at_edges(past))
    sentences = (*(_sentences(past) if past else ()), UNLIKE)
    return Chapter("Across retrains", sentences, grids=tuple(grid for grid in grids if grid is not None), plots=PLOTS)


def _verdicts(story: Story) -> Grid | None:
    """What came of each retrain, this one on top."""
    if not story.past:
        return None
    evaluation, result = story.evaluation, story.result
    name = evaluation.metric if evaluation is not None else story.past[-1].metric
    now, before = (evaluation.challenger.get(name), evaluation.champion.get(name)) if evaluation else (None, None)
    version = result.version if result.verdict in ("promoted", "ask") else None
    this = PastScore(result.as_of, result.verdict, version, name, now, before)
    rows = tuple(_verdict(one, name) for one in (this, *reversed(story.past[-MOST + 1 :])))
    return Grid(("As of", "Verdict", "Version", name, "Champion"), rows, "Verdicts")


def _verdict(one: PastScore, name: str) -> Row:
    other = "" if one.metric == name else one.metric
    return (
        Cell(_say_date(one.as_of)),
        Cell(one.verdict.replace("_", " "), tone=TONES.get(one.verdict, "plain")),
        Cell(f"v{one.version}" if one.version else NOTHING),
        Cell(say_number(one.challenger, zeros=True), number=True, note=other if one.challenger is not None else ""),
        Cell(say_number(one.champion, zeros=True), number=True, tone="quiet"),
    )


def _sentences(past: list[PastSearch]) -> list[str]:
    won, could = memory_wins(past)
    sentences = [f"A setting of an earlier retrain was chosen in {won} of {say_count(could, 'retrain')} that had one to start from."]
    if idle := never_mattered(past):
        sentences.append(
            f"Never mattered (less than 2 % of the importance each time): {name_some(idle)}; fix them, and the search is shorter."
        )
    return sentences


def _table(past: list[PastSearch]) -> Grid | None:
    if not past:
        return None
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
