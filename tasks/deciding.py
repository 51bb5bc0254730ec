"""Stage: is there anything to retrain, and does the tuning branch run? Both answers come with their reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tasks.checks.drifts import UNSTABLE, find_drift
from tasks.errors import TrainingFailed
from tasks.metrics import Metric
from tasks.models.blend import Blend
from tasks.models.model import Model
from tasks.models.recipes import Candidates, Recipe
from tasks.records import Champion, Decision, DriftReport, Hyperparameters, Table, Trial
from tasks.remembering import LastSearch
from tasks.settings import AutoSettings, TuningSettings, format_duration
from tasks.stage import stage
from tasks.trials.confirmation import Confirmation, confirm
from tasks.trials.memory import champion_models, champion_origin, describe_space, stored_processing
from tasks.trials.noise import Difference
from tasks.wording import say_count, say_duration, say_share

NAMED = 3
"""A reason names at most this many columns or parameters."""


def nothing_new(table: Table, config_digest: str, champion: Champion | None) -> str | None:
    """Why there is nothing to retrain: the live champion was made from these very rows and this very config. None if there is."""
    if champion is None or not champion.live:
        return None
    if (champion.data_digest, champion.config_digest) != (table.digest, config_digest):
        return None
    return f"no new labelled rows and the same config as champion v{champion.version}; --force trains all the same"


@stage("decide")
def decide_tuning(
    settings: TuningSettings,
    candidates: Candidates,
    champion: Champion | None,
    last: LastSearch | None,
    table: Table,
    as_of: datetime,
    metric: str,
    drift: DriftReport | None = None,
) -> Decision:
    """Whether to tune. `never` uses the champion's settings, or the config's own when there are none to use.

    `auto` tunes at once where there is nothing to reuse or something changed since the last search; else it asks for a
    probe. `last` is the newest search that this retrain may remember, `metric` what is tuned for now, `drift` what was
    found of the columns since the champion was trained.
    """
    if settings.when == "always":
        return Decision(True, "tuning.when is always: every retrain re-tunes, because the data has changed")
    if settings.when == "auto":
        return _decide_auto(settings, candidates, champion, last, table, as_of, metric, drift)
    if why := _nothing_to_reuse(candidates, champion):
        return Decision(False, f"tuning.when is never: the config's own hyperparameters, since {why}")
    assert champion is not None
    return Decision(False, f"tuning.when is never: the hyperparameters of champion v{champion.version}")


def judge_probe(
    probe: Sequence[Trial],
    champion: Champion | None,
    last: LastSearch | None,
    rows: Sequence[NDArray[np.int64]],
    metric: Metric,
    settings: TuningSettings,
    seconds: float,
) -> Decision:
    """Tune if the probe's winner surely beats the incumbent, the probe's trial of the champion's settings; see `confirm`.

    `rows` as for `paired_difference`; `seconds` is what the probe took.
    """
    assert champion is not None, "a probe is asked for where there is a champion"
    assert last is not None, "a probe is asked for where an earlier search is remembered"
    live = f"champion v{champion.version}"
    incumbent = next((trial for trial in probe if trial.origin == champion_origin(champion)), None)
    if incumbent is None or incumbent.state != "finished":
        why = "time ran out before they were scored" if incumbent is None else incumbent.error or incumbent.state
        return Decision(True, f"tuning.when is auto: the settings of {live} cannot be reused as they are ({why})")
    found = confirm(probe, incumbent, rows, metric)
    figures = {} if found is None else _figures(found)
    wanted = f"tuning.auto.confidence is {settings.auto.confidence:g}"
    if found is not None and found.holds(settings.auto.confidence):
        gain = f"trial {found.winner.number} of the probe beats the settings of {live} by {_tell(found.newest)}"
        return Decision(True, f"tuning.when is auto: {gain}; {wanted}", figures=figures | {"seconds_probe": seconds})
    saved = max(0.0, last.seconds - seconds)
    reuse = f"the settings of {live} are reused, which saves about {say_duration(saved)}"
    figures |= {"seconds_probe": seconds, "seconds_saved": saved}
    return Decision(False, f"tuning.when is auto: {_no_gain(found)} ({wanted}); {reuse}", figures=figures)


def last_best(candidates: Candidates, champion: Champion | None) -> Recipe:
    """The champion's hyperparameters and processing choices in today's config, whose fixed values win; the base without any.

    A champion that is a blend is one again, of the same members.
    Raises TrainingFailed when they are not settings any more, as after an upgrade of the library.
    """
    if champion is None or _nothing_to_reuse(candidates, champion):
        return candidates.base
    base = candidates.base
    try:
        models = [_again(candidates, family, found) for family, found in champion_models(champion, candidates)]
        model = models[0] if len(models) == 1 else Blend(family="blend", members=tuple(models))
        processing = base.with_choices(stored_processing(champion, candidates))
    except ValidationError as error:
        faults = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise TrainingFailed(f"champion v{champion.version} cannot be trained again ({faults}); tune once") from error
    return Recipe(model, processing.features, processing.weights)


def _again(candidates: Candidates, family: str, found: Hyperparameters) -> Model:
    """Today's model of that family with what was found; what the config fixes wins."""
    model = next(model for model in candidates.models if model.identity == family)
    again: Model = model.with_hyperparameters({**found, **model.hyperparameters})
    return again


def _decide_auto(
    settings: TuningSettings,
    candidates: Candidates,
    champion: Champion | None,
    last: LastSearch | None,
    table: Table,
    as_of: datetime,
    metric: str,
    drift: DriftReport | None,
) -> Decision:
    why = _nothing_to_reuse(candidates, champion) or ("no earlier search is remembered" if last is None else _stale(candidates, champion))
    if why or last is None:
        return Decision(True, f"tuning.when is auto: there is nothing to reuse, since {why}")
    if changed := _changes(candidates, last, metric):
        return Decision(True, f"tuning.when is auto: since the search of {last.as_of:%Y-%m-%d} {changed}")
    age = as_of - last.as_of
    figures = {"days_since_search": age / timedelta(days=1)}
    if age > settings.auto.max_age:
        limit = f"tuning.auto.max_age is {format_duration(settings.auto.max_age)}"
        days = f"{figures['days_since_search']:.3g} days old"
        return Decision(True, f"tuning.when is auto: the last search, of {last.as_of:%Y-%m-%d}, is {days} ({limit})", figures=figures)
    since_search = drift if drift is not None and _measured_since(drift, champion, last) else None
    drifted, share = _drift(settings.auto, table, last, since_search)
    figures |= {} if share is None else {"drifted_share": share}
    if drifted:
        return Decision(True, f"tuning.when is auto: {drifted}", figures=figures)
    reason = f"tuning.when is auto: a probe of {say_count(settings.auto.probe, 'trial')} looks whether there is something to gain"
    return Decision(False, reason, probe=True, figures=figures)


def _nothing_to_reuse(candidates: Candidates, champion: Champion | None) -> str:
    """Why there are no settings of a champion to train with; empty when there are."""
    if champion is None:
        return "there is no champion"
    offered = [model.identity for model in candidates.models]
    families = [family for family, _ in champion_models(champion, candidates)]
    if all(family in offered for family in families):
        return ""
    of = f" of {', '.join(dict.fromkeys(families))}" if len(families) > 1 else ""
    return f"champion v{champion.version} is {champion.family}{of}"


def _stale(candidates: Candidates, champion: Champion | None) -> str:
    """Why the champion's settings are settings no more; empty when they are."""
    try:
        last_best(candidates, champion)
    except TrainingFailed as error:
        return str(error).removesuffix("; tune once")
    return ""


def _changes(candidates: Candidates, last: LastSearch, metric: str) -> str:
    """What is searched, or for what, that was not so at the last search; empty when nothing."""
    if metric != last.metric:
        return f"the metric changed from {last.metric} to {metric}"
    now = describe_space(candidates)
    changed = [_change(name, last.space.get(name), now.get(name)) for name in dict.fromkeys([*now, *last.space])]
    told = [change for change in changed if change]
    if not told:
        return ""
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return f"the search space changed: {'; '.join(told[:NAMED])}{more}"


def _change(name: str, before: str | None, now: str | None) -> str:
    if before == now:
        return ""
    if before is None:
        return f"{name} is new"
    return f"{name} is gone" if now is None else f"{name} was {before}, is {now}"


def _measured_since(drift: DriftReport, champion: Champion | None, last: LastSearch) -> bool:
    """Whether drift since the champion was trained is drift since the last search: the champion is what came of it.

    A baseline that was carried forward is older than that; and so may be a champion whose retrain searched nothing.
    """
    return champion is not None and last.run_id == champion.run_id and bool(drift.columns) and not drift.carried


def _drift(settings: AutoSettings, table: Table, last: LastSearch, measured: DriftReport | None) -> tuple[str, float | None]:
    """The reason to tune, empty where there is none; and the share of the columns that drifted, None where nobody can tell.

    `measured` knows which columns drifted for certain; without it the index alone must tell.
    """
    if measured is not None:
        indexes = {drift.column: drift.index for drift in measured.columns if drift.drifted}
        count = len(measured.columns)
    else:
        found = find_drift(table.frame, table.columns, last.newest or last.as_of)
        indexes, count = {name: index for name, index in found.items() if index > UNSTABLE}, len(found)
    if not count:
        return "", None
    share = len(indexes) / count
    if share <= settings.drift:
        return "", share
    named = ", ".join(f"{name} {index:.2f}" for name, index in list(indexes.items())[:NAMED]) + (", ..." if len(indexes) > NAMED else "")
    text = f"{len(indexes)} of {say_count(count, 'column')} drifted since the search of {last.as_of:%Y-%m-%d} ({named})"
    return f"{text}, more than tuning.auto.drift ({say_share(settings.drift)})", share


def _figures(found: Confirmation) -> dict[str, float]:
    newest = found.newest
    known = {"standard_error": newest.standard_error, "probability": newest.probability_better}
    return {
        "gain_older_folds": found.gain_older,
        "gain": -newest.mean,
        **{name: value for name, value in known.items() if math.isfinite(value)},
    }


def _no_gain(found: Confirmation | None) -> str:
    if found is None:
        return "nothing else in the probe could be scored"
    best = f"the best of {say_count(found.rivals, 'trial')}"
    if found.gain_older <= 0:
        return f"the probe found no gain: on the folds before the newest {best} is no better"
    return f"the probe found no sure gain: {best} gains {_tell(found.newest)}"


def _tell(newest: Difference) -> str:
    noise = f"standard error {newest.standard_error:.4f}, probability {newest.probability_better:.2f}"
    return f"{-newest.mean:.4f} on the newest fold, " + (
        "too short to say how sure that is" if math.isnan(newest.mean + newest.standard_error) else noise
    )
