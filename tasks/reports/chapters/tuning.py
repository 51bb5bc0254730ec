"""Chapter: whether the tuning branch ran, why, and what it found."""

from __future__ import annotations

from tasks.records import Decision, Search, Story
from tasks.reports.chapters.page import Cell, Chapter, Grid, Row
from tasks.reports.chapters.settings import tell_settings
from tasks.reports.chapters.trials import tell_failures, tell_families, tell_leaders, tell_origins, tell_settings_of_leaders
from tasks.reports.dimensions import shown
from tasks.wording import end_sentence, say_count, say_duration, say_number, say_share

PLOTS = ("search_history", "parallel", "parameter_importance", "learning_curves", "parameter_slices", "timeline")
MOST_MEMORIES = 12


def tell_tuning(story: Story) -> Chapter | None:
    """The branch and the settings; nothing when the run never came to the decision."""
    decision, search = story.decision, story.search
    if decision is None:
        return None
    sentences = [end_sentence(f"{'Ran' if decision.tune else 'Skipped'}: {decision.reason}")]
    sentences += _search_sentences(search) if search is not None else []
    told = (tell_leaders, tell_settings_of_leaders, tell_families, tell_origins, _memory, tell_failures)
    grids = (*tell_settings(story), *((tell(search) for tell in told) if search is not None else ()), _figures(decision))
    return Chapter("Tuning", tuple(sentences), grids=tuple(grid for grid in grids if grid is not None), plots=PLOTS)


def _search_sentences(search: Search) -> list[str]:
    counts = [f"{count} {state}" for state, count in search.counts.items() if count]
    tried = f"{say_count(len(search.trials), 'trial')} ({', '.join(counts) or 'none'}) in {say_duration(search.seconds)}"
    sentences = [f"{tried}, stopped by {search.stopped_by}"]
    sentences += [f"The limits: {', '.join(search.limits)}"] if search.limits else []
    sentences += [f"{say_count(search.resumed, 'trial')} of them an earlier process of this retrain had finished"] if search.resumed else []
    sentences += [f"Search method: {search.method}"] if search.method else []
    sentences += _best(search)
    if search.worker_seconds > 0:
        share = min(1.0, search.fit_seconds / search.worker_seconds)
        workers = f"{say_duration(search.fit_seconds)} of {say_duration(search.worker_seconds)}"
        sentences.append(f"{say_share(share)} of the workers' time went into training itself ({workers})")
    return [end_sentence(sentence) for sentence in sentences]


def _best(search: Search) -> list[str]:
    """The best trial, and the one that is trained where the two are not the same."""
    best, trained, sentences = search.best, shown(search), []
    if best is not None and best.value is not None:
        folds = ", ".join(say_number(value, zeros=True) for value in best.fold_values)
        value = f"Best: trial {best.number} with {search.metric} {say_number(best.value, zeros=True)}"
        sentences.append(value + (f", the mean over folds of {folds}" if folds else ""))
    if trained is None:
        return sentences
    why = search.choice.removeprefix(f"trial {trained.number}: ")  # it names the trial where it stands alone
    if best is not None and trained.number == best.number:
        return [*sentences, *([f"Trained: {why}"] if why else [])]
    value = f" with {search.metric} {say_number(trained.value, zeros=True)}" if trained.value is not None else ""
    sentences.append(f"Trained: trial {trained.number}{value}" + (f"; {why}" if why else ""))
    return sentences


def _figures(decision: Decision) -> Grid | None:
    """What the decision rests on: a name that ends in seconds is a length of time."""
    rows: tuple[Row, ...] = tuple(
        (Cell(name.replace("_", " ")), Cell(say_duration(value) if name.endswith("seconds") else say_number(value), number=True))
        for name, value in decision.figures.items()
    )
    return Grid(("Figure", "Value"), rows, "What the decision rests on") if rows else None


def _memory(search: Search) -> Grid | None:
    """What became of the settings of earlier retrains."""
    lines = search.memory[:MOST_MEMORIES]
    rows: tuple[Row, ...] = tuple((Cell(line),) for line in lines)
    if len(search.memory) > len(lines):
        rows += ((Cell(f"and {len(search.memory) - len(lines):,} more", tone="quiet"),),)
    return Grid(("",), rows, "What became of the settings of earlier retrains") if rows else None
