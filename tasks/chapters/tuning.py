"""Chapter: whether the tuning branch ran, why, what it found, and which settings that changed."""

from __future__ import annotations

from tasks.chapters.page import Cell, Chapter, Grid, Row
from tasks.records import Champion, Search, Story
from tasks.wording import NOTHING, say_count, say_duration, say_number


def tell_tuning(story: Story) -> Chapter | None:
    """The branch and the settings; nothing when the run never came to the decision."""
    if story.decision is None:
        return None
    sentences = [f"{'Ran' if story.decision.tune else 'Skipped'}: {story.decision.reason}"]
    if story.search is not None:
        sentences += _search_sentences(story.search)
    grids = [grid for grid in (_settings(story), _failures(story.search)) if grid is not None]
    return Chapter("Tuning", tuple(sentences), tuple(grids), plots=("search history",))


def _search_sentences(search: Search) -> list[str]:
    counts = ", ".join(f"{search.count(state)} {state}" for state in ("finished", "pruned", "failed") if search.count(state))
    sentences = [f"{say_count(len(search.trials), 'trial')} ({counts}) in {say_duration(search.seconds)}; stopped by {search.stopped_by}."]
    if search.best is not None and search.best.value is not None:
        folds = ", ".join(say_number(value, zeros=True) for value in search.best.fold_values)
        best = f"Best: trial {search.best.number} with {search.metric} {say_number(search.best.value, zeros=True)}"
        sentences.append(best + (f" as the mean over folds of {folds}." if folds else "."))
    return sentences


def _settings(story: Story) -> Grid | None:
    settings, before = story.result.hyperparameters, _comparable(story.champion, story.family)
    if not settings:
        return None
    if before is None:
        rows: tuple[Row, ...] = tuple((Cell(name, code=True), Cell(say_number(value), number=True)) for name, value in settings.items())
        return Grid(("Setting", "Value"), rows, "Settings")
    names = [*settings, *(name for name in before if name not in settings)]
    compared = tuple(_setting_row(name, settings.get(name), before.get(name)) for name in names)
    return Grid(("Setting", "Now", "Champion", ""), compared, "Settings")


def _comparable(champion: Champion | None, family: str) -> dict[str, bool | int | float | str] | None:
    return champion.hyperparameters if champion is not None and champion.family == family else None


def _setting_row(name: str, now: object, before: object) -> Row:
    changed = now != before
    return (
        Cell(name, code=True),
        Cell(say_number(now), number=True),
        Cell(say_number(before), number=True, tone="quiet"),
        Cell("changed" if changed else "", tone="warn" if changed else "quiet"),
    )


def _failures(search: Search | None) -> Grid | None:
    failed = [trial for trial in search.trials if trial.state == "failed"] if search else []
    if not failed:
        return None
    rows: tuple[Row, ...] = tuple((Cell(str(trial.number), number=True), Cell(trial.error or NOTHING, code=True)) for trial in failed[:5])
    return Grid(("Trial", "Error"), rows, f"Failed trials ({len(failed)})", folded=True)
