"""The retrain: load -> validate -> split -> features -> tune (a branch) -> train -> evaluate -> gate -> register -> report.

A plain Prefect flow: `retrain("configs/flights.yaml")` from Python or a notebook returns a result that prints well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from prefect import flow
from prefect.client.schemas import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from configs.schema import RetrainConfig
from flows.events.cooldowns import cooling
from flows.events.emitting import emit_verdict
from flows.notices.sending import announce_error, announce_result
from flows.reconciling.runs import end_dead_runs
from flows.retraining.approving import ask_person, expire_approvals, find_answer
from flows.retraining.judging import ask_refitted, explain, find_rival, measure_slide
from flows.retraining.obituaries import tell_end
from flows.retraining.outcomes import keep_outcome
from flows.retraining.searching import Workers, open_tuner
from flows.retraining.wishes import (
    AsOf,
    ConfigPath,
    DryRun,
    Families,
    Force,
    Minutes,
    Note,
    Overrides,
    Promotion,
    Trials,
    Tuning,
    read_wished,
    wished,
)
from flows.services.preflight import check_services, studies_url
from flows.telling.gauges import gauges
from flows.telling.journal import Journal
from flows.telling.occasions import Occasion, Skipped, find_occasion, plain, superseded
from flows.telling.settling import settle_in
from tasks.checks.sentinels import watch_split
from tasks.comparisons.golden import require_golden
from tasks.deciding import decide_tuning, judge_probe, last_best, nothing_new
from tasks.drift import measure_drift
from tasks.errors import EvertuneError, Held
from tasks.evaluation import evaluate_model
from tasks.features import build_features
from tasks.gate import judge_candidate
from tasks.homes import Home
from tasks.leases import Lease, hold_lease
from tasks.loading import load_table
from tasks.metrics import DEFAULTS, find_metric
from tasks.models.model import Fitting, require_fit
from tasks.models.recipes import Candidates, Recipe
from tasks.probing import probe_settings
from tasks.records import Answer, Result, Rows, Split, Table
from tasks.registration import register_model
from tasks.registry import find_prior, repair_aliases
from tasks.registry.proving import Prover
from tasks.remembering import MODEL_TAG
from tasks.settings.operation import Promote
from tasks.sources.source import mask
from tasks.splitting import split_table
from tasks.stage import timed
from tasks.targets import encode
from tasks.tracking import connect, open_run, service_fault
from tasks.training import refit_model, train_model
from tasks.tuning import tune_model
from tasks.validation import validate_table

log = logging.getLogger("evertune")
VERDICTS: dict[Answer, Literal["promoted", "kept", "ask"]] = {"promote": "promoted", "keep": "kept", "ask": "ask"}


def name_run() -> str:
    """`flights 2013-10-01`: the config's file and the date, before either is looked at."""
    given = flow_run.parameters
    instant = given.get("as_of") or flow_run.scheduled_start_time
    return f"{Path(given['config']).stem} {datetime.fromisoformat(str(instant)):%Y-%m-%d}"


@flow(name="retrain", flow_run_name=name_run, persist_result=False, validate_parameters=True)
def retrain(
    config: ConfigPath,
    as_of: AsOf = None,
    tune: Tuning = "as configured",
    trials: Trials = 0,
    minutes: Minutes = 0,
    families: Families = [],  # noqa: B006  Prefect's form wants a list, and nobody changes it
    promote: Promotion = "auto",
    note: Note = "",
    dry_run: DryRun = False,
    overrides: Overrides = None,
    force: Force = False,
) -> Result | State[Any]:
    """Retrain one model: validate, tune, train, judge, and promote it if it has earned it.

    Args:
        config: Path of the YAML file.
        as_of: The instant the retrain stands at (UTC without a zone); the scheduled start, else now, when left out.
        tune: Whether to tune, instead of what the config says.
        trials: Stop after this many trials; 0 leaves it to the config.
        minutes: Stop after this many minutes; 0 leaves it to the config.
        families: Search these model families alone; the config's when left out.
        promote: auto leaves it to the gate, ask lets a person decide, never registers nothing.
        note: Why you start this; kept with the run.
        dry_run: Do everything but register: nothing changes for anybody.
        overrides: Dotted keys and values on top of the config, such as {"tuning.average": 4}.
        force: Train even if neither data nor config are new.

    Returns a Result; its verdict names the final state. Raises tasks.errors.EvertuneError, whose `summary` is the same.
    """
    settle_in()
    keep_outcome(None)
    wanted = None
    try:
        wanted = read_wished(config, tune, trials, minutes, families, overrides)
        result = find_answer(wanted)
        if result is None and (reason := superseded() or cooling(wanted)):
            raise Skipped(reason)
        result = result or run_retrain(wanted, as_of, force, promote=promote, note=note, dry_run=dry_run)
    except Skipped as reason:
        return Completed(name="Skipped", message=str(reason))
    except EvertuneError as error:
        if wanted is not None:
            if isinstance(error, Held) and _cancels(wanted):
                return Cancelled(message=f"operation.overlap is cancel: {error}")
            announce_error(wanted, error)
        keep_outcome(error)
        return Failed(message=str(error), data=error)
    except Exception as error:
        if wanted is not None:
            announce_error(wanted, error)
        raise
    keep_outcome(result)
    emit_verdict(result)
    announce_result(wanted, result)
    if result.verdict == "ask":
        ask_person(wanted, result)
    return Completed(name=result.verdict.title(), message=result.reason, data=result)


def run_retrain(
    config: RetrainConfig,
    as_of: datetime | None = None,
    force: bool = False,
    *,
    promote: Promote = "auto",
    note: str = "",
    dry_run: bool = False,
) -> Result:
    """The retrain without Prefect around it: every record still goes to MLflow. It holds its model: nobody else retrains it meanwhile.

    A dry run holds nothing and registers nothing. Raises Skipped where a later slot came due while it waited for its model.
    """
    occasion = find_occasion()
    as_of = as_of or occasion.instant
    as_of = plain(as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of)
    home = Home.from_environment()
    check_services()
    with timed() as timing:
        tracker, name = connect(home, config.name), f"{config.name} {as_of:%Y-%m-%d}"
        tags = {"evertune.as_of": as_of.isoformat(), "evertune.kind": "dry_run" if dry_run else "retrain"}
        tags |= {MODEL_TAG: config.model_name, "evertune.flow_run_id": occasion.flow_run_id or ""}
        tags |= {"evertune.note": note} if note else {}
        with (
            _hold(config, home, name, occasion, dry_run) as lease,
            open_run(tracker, name, tags, timing) as run,
            gauges(run),
        ):
            if lease is not None:
                repair_aliases(tracker, config.model_name, lease)
                end_dead_runs(home, tracker, config.model_name, tell_end)
                if occasion.flow_run_id:
                    _tidy_approvals(config.model_name, lease)
            prior = find_prior(tracker, config.model_name, as_of - config.label_delay if config.time else None, config.target)
            journal = Journal(config, as_of, home, run, prior, timing, occasion, promote)
            try:
                with Workers(config, home) as workers:
                    return _stages(journal, workers, lease, force)
            except Exception as error:
                foreseen = error if isinstance(error, EvertuneError) else service_fault(error)
                if foreseen is None:
                    raise
                journal.fail(foreseen)
                raise foreseen from error.__cause__ if foreseen is error else error


def _tidy_approvals(model: str, lease: Lease) -> None:
    """Questions about earlier retrains of the model, ended where they are overdue; trouble with them is no reason to end this one."""
    try:
        expire_approvals(model, lease)
    except Exception as error:
        log.warning("overdue approvals of %s are left to the reconciler: %s", model, mask(str(error)))


def _cancels(config: RetrainConfig) -> bool:
    """Whether a retrain that found its model held is cancelled, rather than failed."""
    return config.operation.overlap == "cancel" and find_occasion().deployed


@contextmanager
def _hold(config: RetrainConfig, home: Home, name: str, occasion: Occasion, dry_run: bool) -> Iterator[Lease | None]:
    """The model's lease; a deployed retrain waits for it where the config says so. Raises Held, and Skipped as `run_retrain` does."""
    if dry_run:
        yield None
        return
    wait = config.operation.wait.total_seconds() if occasion.deployed and config.operation.overlap == "wait" else 0.0
    with hold_lease(studies_url(home), config.model_name, config.registry.lease_seconds, f"the retrain {name}", wait=wait) as lease:
        if wait and (reason := superseded()):
            raise Skipped(reason)
        yield lease


def _stages(journal: Journal, workers: Workers, lease: Lease | None, force: bool) -> Result:
    """`lease` is None in a dry run."""
    config, as_of, champion = journal.config, journal.as_of, journal.prior.champion
    loaded = load_table(config.source, as_of)
    journal.add(source=loaded.source)
    table = validate_table(loaded, config.table, config.validation, as_of, keep=config.kept_columns)
    del loaded  # the raw frame is the largest thing in memory
    journal.add_table(table, fresh=force)
    if lease is not None:
        lease.check()  # reading takes long: whoever was stopped meanwhile must not answer for the model any more
    if not force:
        if reason := nothing_new(table, config.digest(), champion):
            return journal.finish("unchanged", reason, journal.live_version)
        if earlier := journal.answered_before():
            return earlier
    drift = measure_drift(table, champion, journal.movements.baseline, config.validation.drift)
    journal.add_drift(drift)
    require_golden(config.gate, table.columns.target)

    target = table.columns.target
    require_fit((config.model, *config.alternatives), target.task, encode(target, table.frame[target.column]))
    metric = find_metric(config.metric or config.model.default_metric(target.task), target.task)
    metrics = tuple(
        find_metric(name, target.task).name for name in (*(config.metrics or DEFAULTS[target.task]), *config.gate.named_metrics)
    )
    journal.metric = metric.name
    fitting = Fitting(target, metric, config.seed, config.usable_threads)

    split = split_table(table, config.split, config.label_delay, champion, config.gate.min_rows)
    table = watch_split(table, split, config.validation.leakage)
    journal.add_split(split, table)
    base = Recipe(config.model, config.features, config.weights)
    candidates = Candidates(base, target.task, config.alternatives, config.space)
    build_features(table.columns, base.features, base.model.reads)
    decision = decide_tuning(config.tuning, candidates, champion, journal.memory.last, table, as_of, metric.name, drift)

    def reuse() -> Recipe:
        return last_best(candidates, champion)

    if decision.tune or decision.probe:
        with open_tuner(config, table, split, candidates, fitting, workers, journal, len(_all_rows(table, split, config))) as tuner:
            if decision.probe:
                seconds = probe_settings(tuner, config.tuning.auto.probe)
                judged = judge_probe(tuner.trials, champion, journal.memory.last, tuner.block_rows, metric, config.tuning, seconds)
                decision = replace(judged, figures=decision.figures | judged.figures)
            journal.add_decision(decision)
            if decision.tune:
                recipe, search = tune_model(tuner, reuse)
                journal.add_search(search, candidates, table)
    if not decision.tune:
        journal.add_decision(decision)
        tune_model.skip(decision.reason)
        workers.close()
        recipe = reuse()

    with Prover([recipe.model]) as prover:
        prover.start()  # its imports take as long as a fit
        features = build_features.plain(table.columns, recipe.features, recipe.model.reads)
        fitted = train_model(table, split.train, features, recipe.model, fitting, recipe.weights)
        recipe = replace(recipe, model=fitted.model)  # with the number of rounds, whoever chose it
        journal.add_model(fitted, recipe, candidates)
        rival = find_rival(champion, table, split, fitting)
        evaluation = evaluate_model(fitted, rival, table, split, metric, metrics, config.gate, config.split.group)
        evaluation = replace(evaluation, slide=measure_slide(champion, journal.movements.anchor, evaluation, table, split, config, fitting))
        journal.add_evaluation(evaluation)
        beside = config.gate, table.suspects, config.validation.leakage, journal.prior.later, journal.movements.forbidden
        verdict = judge_candidate(evaluation, *beside)
        journal.add(attribution=explain(champion, evaluation, table, split, recipe, config, fitting))
        rows, final = _all_rows(table, split, config), fitted
        if verdict.answer != "keep" and not np.array_equal(rows, split.train):
            final = refit_model(table, rows, features, recipe.model, fitting, recipe.weights)
            evaluation = ask_refitted(final, evaluation, table, split, config)
            verdict = judge_candidate.plain(evaluation, *beside)
        verdict = wished(verdict, journal.promote)
        journal.add_verdict(verdict)
        version = journal.live_version
        if lease is None:
            register_model.skip("dry_run")
        elif verdict.answer == "keep":
            register_model.skip(verdict.reason)
        else:
            tags = journal.add_candidate(table, rows, recipe, evaluation, verdict)
            version = register_model(
                journal.run, final, table.frame.iloc[rows], config.model_name, journal.version_identity(recipe), tags, champion, lease,
                verdict.passed, prover.prove,
            )  # fmt: skip
    journal.add(evaluation=evaluation)
    if lease is None:
        return journal.finish("dry_run", f"a dry run; the verdict would be {VERDICTS[verdict.answer]}: {verdict.reason}", version)
    return journal.finish(VERDICTS[verdict.answer], verdict.reason, version)


def _all_rows(table: Table, split: Split, config: RetrainConfig) -> Rows:
    """What the registered model is fitted on: everything within the training window; never a test bucket of a table without time."""
    if table.columns.time is None or not config.registry.refit:
        return split.train
    if config.split.training_window is None:
        return np.arange(len(table.frame))
    times = table.frame[table.columns.time]
    return np.flatnonzero(times > times.iloc[-1] - config.split.training_window)
