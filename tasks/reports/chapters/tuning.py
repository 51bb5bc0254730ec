"""Chapter: whether the tuning branch ran, why, what it found, and which settings that changed."""

from __future__ import annotations

from tasks.records import Hyperparameters, Search, Story
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row, name_some
from tasks.wording import NOTHING, end_sentence, say_count, say_duration, say_number


def tell_tuning(story: Story) -> Chapter | None:
    """The branch and the settings; nothing when the run never came to the decision."""
    if story.decision is None:
        return None
    sentences = [end_sentence(f"{'Ran' if story.decision.tune else 'Skipped'}: {story.decision.reason}")]
    if story.search is not None:
        sentences += _search_sentences(story.search)
    grids = [grid for grid in (_settings(story), _failures(story.search)) if grid is not None]
    return Chapter("Tuning", tuple(sentences), grids=tuple(grids), plots=("search_history",))


def _search_sentences(search: Search) -> list[str]:
    counts = [f"{count} {state}" for state, count in search.counts.items() if count]
    tried = f"{say_count(len(search.trials), 'trial')} ({', '.join(counts) or 'none'}) in {say_duration(search.seconds)}"
    sentences = [end_sentence(f"{tried}, stopped by {search.stopped_by}")]
    if search.best is not None and search.best.value is not None:
        folds = ", ".join(say_number(value, zeros=True) for value in search.best.fold_values)
        best = f"Best: trial {search.best.number} with {search.metric} {say_number(search.best.value, zeros=True)}"
        sentences.append(best + (f", the mean over folds of {folds}." if folds else "."))
    return sentences


def _settings(story: Story) -> Grid | None:
    """What was trained with, beside what the champion was trained with when it is of the same family."""
    settings = story.result.hyperparameters
    if not settings:
        return None
    if story.champion is None or story.champion.family != story.family:
        rows: tuple[Row, ...] = tuple((Cell(name, code=True), Cell(say_number(value), number=True)) for name, value in settings.items())
        return Grid(("Setting", "Value"), rows, "Settings")
    compared = compare_settings(settings, story.champion.hyperparameters)
    return Grid(("Setting", "Now", f"Champion v{story.champion.version}", ""), compared, "Settings")


def compare_settings(now: Hyperparameters, before: Hyperparameters) -> tuple[Row, ...]:
    """A row for each setting of either side, changed ones first."""
    names = [*now, *(name for name in before if name not in now)]
    changed = {name: name not in now or name not in before or now[name] != before[name] for name in names}
    return tuple(
        _setting_row(name, now.get(name), before.get(name), changed[name]) for name in sorted(names, key=lambda name: not changed[name])
    )


def _setting_row(name: str, now: object, before: object, changed: bool) -> Row:
    return (
        Cell(name, code=True),
        Cell(say_number(now), number=True, strong=changed),
        Cell(say_number(before), number=True, tone="quiet"),
        Cell("changed" if changed else "", tone="quiet"),
    )


def _failures(search: Search | None) -> Grid | None:
    """What failed trials said, each message once, the commonest first."""
    failed = [trial for trial in search.trials if trial.state == "failed"] if search else []
    said: dict[str, list[int]] = {}
    for trial in failed:
        said.setdefault(trial.error, []).append(trial.number)
    first = sorted(said.items(), key=lambda item: -len(item[1]))[:5]
    rows: tuple[Row, ...] = tuple(
        (Cell(name_some(list(map(str, trials)), 4), number=True), Cell(error or NOTHING, code=bool(error))) for error, trials in first
    )
    return (
        Grid(("Trials", "Error"), rows, f"Failed trials ({len(failed)})", folded=len(failed) < len(search.trials))
        if search and rows
        else None
    )
