"""The top of the page: the verdict, when and on whose word it ran, and the few numbers that matter most."""

from __future__ import annotations

import shlex
from datetime import datetime

from tasks.records import Evaluation, Story, Verdict
from tasks.reports.chapters.data import say_rewriting
from tasks.reports.chapters.intervals import Axis, say_interval
from tasks.reports.chapters.page import Alert, Banner, Comparison, Figure, Tone, name_some
from tasks.reports.dimensions import known_metric
from tasks.wording import end_sentence, say_count, say_difference, say_duration, say_moment, say_number, say_share

WORDS: dict[str, tuple[str, Tone]] = {
    "promoted": ("Promoted", "good"),
    "kept": ("Champion kept", "warn"),
    "ask": ("Undecided", "ask"),
    "unchanged": ("Unchanged", "quiet"),
    "data_rejected": ("Data rejected", "bad"),
    "failed": ("Failed", "bad"),
}


def tell_banner(story: Story) -> Banner:
    """The verdict in one or two words, what is live now, and why."""
    word, tone = say_verdict(story.result.verdict), WORDS.get(story.result.verdict, ("", "quiet"))[1]
    first, *more = [line.strip() for line in story.result.reason.splitlines() if line.strip()] or [""]
    reason = ": ".join(filter(None, (first.rstrip(":"), "; ".join(more))))  # a rejection names its checks on lines of their own
    return Banner(word, _meaning(story), reason, tone, _decide(story))


def say_verdict(verdict: str) -> str:
    """`Champion kept` for kept."""
    return WORDS[verdict][0] if verdict in WORDS else verdict.replace("_", " ").capitalize()


def _decide(story: Story) -> tuple[tuple[str, str], ...]:
    """The two commands of which a person has to choose one, where the gate asks."""
    result = story.result
    if result.verdict != "ask" or not result.version:
        return ()
    words = {"promote": "To make it the champion", "reject": "To keep what is live"}
    return tuple((words[what], shlex.join(["evertune", what, result.model, result.version])) for what in words)


def _meaning(story: Story) -> str:
    result, champion = story.result, story.champion
    if result.verdict == "ask":
        until = f"v{champion.version} stays the champion until then" if champion and champion.live else "until then nothing changes"
        return f"{result.model} v{result.version} waits for your decision; {until}" if result.version else until
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
    if undo := find_undo(story):
        facts.append(("Undo", undo))
    return tuple(facts)


def find_undo(story: Story) -> str:
    """The command that takes the promotion back; empty where nothing went live, or nothing was live before."""
    if story.result.verdict != "promoted" or story.champion is None:
        return ""
    return story.undo or shlex.join(["evertune", "rollback", story.result.model])


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
    metric = known_metric(name)
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


def tell_comparison(story: Story) -> Comparison | None:
    """How much better or worse, and how sure that is; nothing where there was nobody to compare with."""
    evaluation = story.evaluation
    if evaluation is None or evaluation.interval is None:
        return None
    words = f"{evaluation.metric} against {_rival(story, evaluation)}: {say_interval(evaluation.interval)}"
    margin = _margin(story.verdict)
    ends = (evaluation.interval.low, evaluation.interval.high, evaluation.interval.difference)
    span = Axis.around((*ends, margin or 0.0)).draw(evaluation.interval, margin or None)
    if span is None:
        return Comparison(words)
    return Comparison(words, span, f"the margin: worse by {say_number(margin, digits=3)}" if margin else "")


def _rival(story: Story, evaluation: Evaluation) -> str:
    champion = f"champion v{story.champion.version}" if story.champion else "the champion"
    return f"the settings of {champion}, refitted" if evaluation.compared_with == "stand-in" else champion


def _margin(verdict: Verdict | None) -> float | None:
    return verdict.margin if verdict is not None else None


def tell_alerts(story: Story) -> tuple[Alert, ...]:
    """What nobody may overlook, what stands against the model first."""
    return tuple(alert for found in (_leakage, _forbidden, _worn, _rewritten, _drifted) for alert in found(story))


def _leakage(story: Story) -> list[Alert]:
    suspects = story.table.suspects if story.table else ()
    names = name_some([suspect.column for suspect in suspects])
    return (
        [Alert(f"Leakage suspected: {names}. Each alone predicts the target too well to have been known beforehand.")] if suspects else []
    )


def _forbidden(story: Story) -> list[Alert]:
    """Unless the verdict says so already."""
    forbids = story.table.forbids if story.table else ()
    return [Alert(end_sentence(f"The data forbids a promotion: {why}")) for why in forbids if why not in story.result.reason]


def _worn(story: Story) -> list[Alert]:
    if story.wear is None or not story.wear.worn:
        return []
    uses = say_count(story.wear.uses, "time")
    told = f"The test rows are worn: they have decided {uses} before, {story.wear.limit:,} is the limit."
    return [Alert(f"{told} Settings that are chosen on the same rows again and again end up fitted to them: wait for newer rows.", "warn")]


def _rewritten(story: Story) -> list[Alert]:
    if story.rewriting is None or not story.rewriting.changed:
        return []
    return [Alert(f"Rows of the past have changed. {say_rewriting(story.rewriting, days=False)}", "warn")]


def _drifted(story: Story) -> list[Alert]:
    drifted = story.drift.drifted if story.drift else ()
    if story.drift is None or not drifted:
        return []
    return [Alert(end_sentence(f"Drift: {name_some([one.column for one in drifted], 6)}, compared with {story.drift.since}"), "warn")]
