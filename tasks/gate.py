"""Stage: the gate. A candidate goes live only when every condition holds."""

from __future__ import annotations

from tasks.metrics import METRICS
from tasks.records import Champion, Check, Evaluation, Suspect, Verdict
from tasks.settings import GateSettings, LeakageSettings
from tasks.stage import stage


@stage("gate")
def judge_candidate(
    evaluation: Evaluation, settings: GateSettings, suspects: tuple[Suspect, ...], leakage: LeakageSettings, live: Champion | None
) -> Verdict:
    """Promote or keep, with the reason and every condition's outcome.

    `live` is the champion that the alias points at when it is later than this retrain's as-of date: a replay never
    replaces it. The first version has nothing to be compared with and is judged on floors and ceilings alone.
    """
    checks = [*_limits(evaluation, settings), *_leakage(suspects, leakage), *_no_worse(evaluation, settings), *_replay(live)]
    failed = [check for check in checks if not check.passed]
    if failed:
        return Verdict(False, "; ".join(check.detail for check in failed), tuple(checks))
    return Verdict(True, _praise(evaluation), tuple(checks))


def _limits(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    checks = []
    for name, least in settings.floors.items():
        value = evaluation.challenger[name]
        checks.append(
            Check(f"{name} floor", value >= least, f"{name} {value:.4f} {'reaches' if value >= least else 'is below'} its floor {least:g}")
        )
    for name, most in settings.ceilings.items():
        value = evaluation.challenger[name]
        checks.append(
            Check(f"{name} ceiling", value <= most, f"{name} {value:.4f} {'keeps' if value <= most else 'is above'} its ceiling {most:g}")
        )
    return checks


def _leakage(suspects: tuple[Suspect, ...], leakage: LeakageSettings) -> list[Check]:
    if leakage.action != "block":
        return []
    if not suspects:
        return [Check("leakage", True, "no column looks as if it were known only after the event")]
    names = ", ".join(f"{suspect.column} ({suspect.reason})" for suspect in suspects)
    advice = "leave it out (columns: {name: ignore}), or name it under validation.leakage.allow if it is known before the event"
    return [Check("leakage", False, f"suspected leakage: {names}; {advice}")]


def _no_worse(evaluation: Evaluation, settings: GateSettings) -> list[Check]:
    """The challenger's loss may exceed the champion's by the margin's share of the champion's score."""
    if evaluation.compared_with == "nobody" or not evaluation.champion:
        return [] if evaluation.compared_with == "nobody" else [Check("champion", False, evaluation.note)]
    metric = METRICS[evaluation.metric]
    now, before = evaluation.challenger[metric.name], evaluation.champion[metric.name]
    margin = settings.margin * abs(before)
    passed = not metric.is_worse(now, before, margin)
    words = "within the margin of" if passed else "worse by more than the margin than"
    rival = "the champion's" if evaluation.compared_with == "champion" else "the champion's settings, refitted:"
    return [Check("champion", passed, f"{metric.name} {now:.4f} is {words} {rival} {before:.4f} (margin {margin:.4g})")]


def _replay(live: Champion | None) -> list[Check]:
    if live is None:
        return []
    through = "its own rows" if live.trained_through is None else f"{live.trained_through:%Y-%m-%d}"
    return [
        Check(
            "replay",
            False,
            f"champion v{live.version} is trained through {through}, later than this as-of date; a replay never replaces it",
        )
    ]


def _praise(evaluation: Evaluation) -> str:
    if evaluation.compared_with == "nobody":
        return "the first version; it passed every absolute condition"
    metric = METRICS[evaluation.metric]
    now, before = evaluation.challenger[metric.name], evaluation.champion[metric.name]
    better = "better than" if metric.is_worse(before, now) else "as good as" if now == before else "not worse by the margin than"
    rival = "the champion's" if evaluation.compared_with == "champion" else "the champion's settings, refitted:"
    return f"{metric.name} {now:.4f} is {better} {rival} {before:.4f} on {evaluation.rows:,} rows"
