"""The top of the page: the verdict, when and on whose word it ran, and the few numbers that matter most."""

from __future__ import annotations

from datetime import datetime

from tasks.metrics import METRICS
from tasks.records import Story
from tasks.reports.chapters.page import Banner, Figure, Tone
from tasks.wording import say_count, say_difference, say_duration, say_moment, say_number, say_share

WORDS: dict[str, tuple[str, Tone]] = {
    "promoted": ("Promoted", "good"),
    "kept": ("Champion kept", "warn"),
    "unchanged": ("Unchanged", "quiet"),
    "data_rejected": ("Data rejected", "bad"),
    "failed": ("Failed", "bad"),
}


def tell_banner(story: Story) -> Banner:
    """The verdict in one or two words, what is live now, and why."""
    word, tone = WORDS.get(story.result.verdict, (story.result.verdict.replace("_", " ").capitalize(), "quiet"))
    first, *more = [line.strip() for line in story.result.reason.splitlines() if line.strip()] or [""]
    reason = ": ".join(filter(None, (first.rstrip(":"), "; ".join(more))))  # a rejection names its checks on lines of their own
    return Banner(word, _meaning(story), reason, tone)


def _meaning(story: Story) -> str:
    result, champion = story.result, story.champion
    if result.verdict == "promoted":
        return f"{result.model} v{result.version} is the champion now" if result.version else "the new model is the champion now"
    live = result.version or (champion.version if champion else None)
    return f"{result.model} v{live} stays the champion" if live else "there is no champion yet"


def tell_facts(story: Story) -> tuple[tuple[str, str], ...]:
    """Short lines under the name: when it stands, when it started, what set it off, what was trained."""
    facts = [("Started", say_moment(story.started))]
    if story.trigger:
        facts.append(("Set off", story.trigger))
    if story.family:
        facts.append(("Model", story.family))
    return tuple(facts)


def tell_as_of(story: Story) -> str:
    """The instant the retrain stands at."""
    try:
        return say_moment(datetime.fromisoformat(story.result.as_of))
    except ValueError:
        return story.result.as_of


def tell_figures(story: Story) -> tuple[Figure, ...]:
    """Metric now and before, tuning, rows, time; only those there is something to say of."""
    figures = (_metric(story), _trials(story), _rows(story), _time(story))
    return tuple(figure for figure in figures if figure is not None)


def _metric(story: Story) -> Figure | None:
    metric = story.result.metric
    now, before = metric.get("challenger"), metric.get("champion")
    if now is None:
        return None
    if before is None:
        return Figure(metric["name"], say_number(now, zeros=True), "nothing to compare with")
    tone = compare(metric["name"], now, before)
    change = {"good": f"better by {say_number(abs(now - before), digits=3)}", "bad": f"worse by {say_number(abs(now - before), digits=3)}"}
    note = f"{say_number(before, zeros=True)} before, {change.get(tone, 'no change' if now == before else say_difference(now - before))}"
    return Figure(metric["name"], say_number(now, zeros=True), note, tone)


def compare(name: str, now: float, before: float) -> Tone:
    """good when the challenger is ahead, bad when it is behind, in the metric's own direction."""
    metric = METRICS.get(name)
    if metric is None or now == before:
        return "plain"
    return "bad" if metric.is_worse(now, before) else "good"


def _trials(story: Story) -> Figure | None:
    if story.search is not None:
        return Figure("Tuning", say_count(len(story.search.trials), "trial"), f"in {say_duration(story.search.seconds)}")
    return Figure("Tuning", "skipped", "settings reused") if story.decision is not None and not story.decision.tune else None


def _rows(story: Story) -> Figure | None:
    if story.split is not None:
        return Figure("Rows to train on", f"{len(story.split.train):,}", f"and {len(story.split.test):,} to test on")
    return Figure("Rows read", f"{story.source.rows:,}") if story.source is not None else None


def _time(story: Story) -> Figure | None:
    stages = {name: spent for name, spent in story.result.seconds.items() if name != "total"}
    total = story.result.seconds.get("total", sum(stages.values()))
    if not stages or not total:
        return None
    longest = max(stages, key=lambda name: stages[name])
    return Figure("Time", say_duration(total), f"{say_share(stages[longest] / total)} of it {longest}")


def tell_alerts(story: Story) -> tuple[str, ...]:
    """What nobody may overlook: columns suspected of knowing the future."""
    suspects = story.table.suspects if story.table else ()
    names = ", ".join(suspect.column for suspect in suspects)
    return (f"Leakage suspected: {names}. Each alone predicts the target too well to have been known beforehand.",) if suspects else ()
