"""Stories for the report's tests: real data that scikit-learn bundles, real LightGBM models, one story for each way a retrain can end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from tasks.metrics import DEFAULTS, score
from tasks.records import (
    Champion,
    Check,
    Columns,
    Decision,
    Evaluation,
    Finding,
    Fold,
    Result,
    Search,
    SourceRecord,
    Split,
    Story,
    Table,
    Target,
    Trial,
    Verdict,
    Wear,
)
from tests.judgements import MARGIN, REWRITING, attribution_of, drift_of, dropped_rows, golden, judged, past_scores
from tests.searches import make_memory, make_search

AS_OF = "2013-10-01T00:00:00+00:00"
CONFIG = "name: tumours\nsource:\n  kind: python\n  function: tumours:read\ntarget: benign\ntuning:\n  trials: 20\n"
BEFORE = {"learning_rate": 0.05, "num_leaves": 7, "min_child_samples": 20, "n_estimators": 40}
NOW = {"learning_rate": 0.08123, "num_leaves": 12, "min_child_samples": 20, "n_estimators": 60, "reg_lambda": 0.0001234}
SECONDS = {
    "load": 0.42,
    "validate": 1.31,
    "split": 0.02,
    "tune": 41.7,
    "train": 0.9,
    "evaluate": 0.3,
    "judge": 0.01,
    "register": 2.6,
    "total": 72.4,
}
FINDINGS = (
    Finding("expect_column_values_to_be_between", "mean radius", "warning", False, "5 to 28", "6.98 to 28.11", 1, ("28.11",), 0.01),
    Finding("expect_column_values_to_not_be_null", "mean area", "critical", True, "no missing values", "0 missing", 0, (), 0.01),
    Finding("rows", "", "critical", True, "at least 100", "569"),
)
LOADERS = {"binary": "load_breast_cancer", "multiclass": "load_digits", "regression": "load_diabetes"}


def promoted(task: str = "binary") -> Story:
    """Tuned, better than the champion, live."""
    return _trained(task)


def first(task: str = "binary") -> Story:
    """Promoted with no champion before it."""
    story = _trained(task)
    assert story.evaluation is not None
    evaluation = judged(replace(story.evaluation, champion={}, champion_prediction=None, compared_with="nobody", note=""))
    reason = "the first version; it passed every absolute condition"
    result = replace(story.result, version="1", reason=reason, metric={**story.result.metric, "champion": None})
    told: dict[str, Any] = {"drift": None, "rewriting": None, "attribution": None, "wear": Wear(0, 10), "past": (), "undo": ""}
    checks = (Check("roc_auc floor", True, "roc_auc 0.9878 reaches its floor 0.8000"),)
    return replace(story, champion=None, evaluation=evaluation, result=result, verdict=Verdict("promote", reason, checks), **told)


def kept() -> Story:
    """Not tuned, worse than the champion: it stays."""
    story = _trained("binary")
    assert story.evaluation is not None
    evaluation = replace(
        story.evaluation,
        challenger=story.evaluation.champion,
        champion=story.evaluation.challenger,
        prediction=story.evaluation.champion_prediction,
        champion_prediction=story.evaluation.prediction,
    )
    evaluation = replace(judged(evaluation), golden=golden(failing=2))
    now, before = evaluation.challenger["log_loss"], evaluation.champion["log_loss"]
    worse = f"log_loss {now:.4f} is worse than the champion's {before:.4f} by more than the margin of 1 %"
    reason = f"{worse}; 2 of 5 golden rows are answered wrongly"
    checks = (
        Check("champion", False, worse),
        Check("golden rows", False, "2 of 5 golden rows are answered wrongly: row 1 (malignant, answered benign)"),
        Check("slide", False, "the rows cannot tell whether it is worse than the settings of v1", unsure=True),
        Check("roc_auc floor", True, "roc_auc 0.9887 reaches its floor 0.8000"),
    )
    metric = {"name": "log_loss", "challenger": now, "champion": before}
    seconds = {"load": 0.42, "validate": 1.31, "split": 0.02, "train": 0.9, "evaluate": 0.3, "judge": 0.01, "total": 9.4}
    result = replace(
        story.result, verdict="kept", reason=reason, version=None, tuned=False, metric=metric, hyperparameters=BEFORE, seconds=seconds
    )
    return replace(
        story,
        result=result,
        evaluation=evaluation,
        search=None,
        decision=Decision(False, "tuning.when is never; the champion's settings are used"),
        verdict=Verdict("keep", reason, checks, MARGIN * before),
        attribution=attribution_of(evaluation, same_settings=True),
        undo="",
    )


def asked() -> Story:
    """The rows cannot tell: a candidate is registered, and a person decides. The test window is worn, rows and days have moved."""
    story = _trained("regression")
    assert story.evaluation is not None
    assert story.evaluation.interval is not None
    now, before = story.evaluation.challenger["rmse"], story.evaluation.champion["rmse"]
    low, high = story.evaluation.interval.low, story.evaluation.interval.high
    reason = f"rmse {now:.2f} against the champion's {before:.2f}: between {-low:.2f} better and {high:.2f} worse, the margin is 0.58"
    checks = (
        Check("champion", False, reason, unsure=True),
        Check("r2 floor", True, "r2 0.4481 reaches its floor 0.4000"),
        Check("golden rows", True, "all 5 golden rows are answered rightly"),
    )
    result = replace(story.result, verdict="ask", reason=reason, version="4")
    return replace(story, result=result, verdict=Verdict("ask", reason, checks, MARGIN * before), wear=Wear(12, 10), undo="")


def forbidden() -> Story:
    """Better than the champion, and yet not live: policies left rows out and forbid a promotion."""
    story = _trained("binary")
    assert story.table is not None
    reason = "mean area between 140 and 2,500: 2 of 569 rows break it, and its policy is forbid"
    broken = Finding(
        "expect_column_values_to_be_between", "mean area", "warning", False, "140 to 2,500", "143.5 to 2,501", 2, ("2,501",), 0.01, "forbid"
    )
    left_out = replace(broken, column="mean radius", expected="5 to 28", observed="6.98 to 29.4", failed_rows=14, policy="drop")
    findings = (broken, left_out, *FINDINGS[1:])
    table = replace(story.table, findings=findings, dropped=dropped_rows(), forbids=(reason,))
    checks = (Check("data", False, reason), *(story.verdict.checks if story.verdict else ()))
    return replace(
        story,
        table=table,
        findings=findings,
        result=replace(story.result, verdict="kept", reason=reason, version=None),
        verdict=Verdict("keep", reason, checks, story.verdict.margin if story.verdict else None),
        undo="",
    )


def searched(count: int = 60, **search: Any) -> Story:
    """Promoted after a search that tells everything there is to tell, the last of several retrains."""
    found = make_search(count, **search)
    chosen = found.chosen or found.trials[0]
    story = _trained("binary")
    figures = {"probe_gain": 0.0021, "noise": 0.0008, "saved_seconds": 0.0}
    return replace(
        story,
        search=found,
        decision=Decision(True, "the probe found more than noise: +0.0021 at 96 %", figures=figures),
        result=replace(story.result, hyperparameters=chosen.hyperparameters, trials=found.counts),
        earlier=tuple(make_memory(f"2013-{month:02d}-01", 30 + month, month % 2, lambda_l2=0.0011) for month in (7, 8, 9)),
    )


def blended() -> Story:
    """Promoted with a blend of five models: forty settings."""
    story = searched()
    assert story.search is not None
    members = [trial.hyperparameters for trial in story.search.trials if trial.state == "finished"][:5]
    settings = {f"{place}.{name}": value for place, member in enumerate(members, 1) for name, value in member.items() if "." not in name}
    assert story.search.chosen is not None
    chosen = replace(story.search.chosen, choices={"features.rare": 20, "use.weather": True})
    choice = "a blend of 5 trials is better than any of them"
    search = replace(story.search, chosen=chosen, choice=choice)
    return replace(story, family="blend", search=search, result=replace(story.result, hyperparameters=settings))


def unchanged() -> Story:
    """No new rows, same config: nothing was trained."""
    story = _trained("binary")
    result = Result(
        "unchanged",
        "no new labelled rows since v3 and the same config",
        "tumours",
        AS_OF,
        version="3",
        seconds={"load": 0.4, "validate": 1.3, "total": 3.1},
    )
    return Story(result, story.description, story.started, CONFIG, story.source, story.table, champion=story.champion, findings=FINDINGS)


def data_rejected() -> Story:
    """A critical expectation failed."""
    reason = "mean area: 31 of 569 rows are missing, none may be (expect_column_values_to_not_be_null)"
    missing = Finding(
        "expect_column_values_to_not_be_null",
        "mean area",
        "critical",
        False,
        "no missing values",
        "31 missing (5.4 %)",
        31,
        ("row 17", "row 40"),
        0.01,
    )
    result = Result("data_rejected", reason, "tumours", AS_OF, seconds={"load": 0.4, "validate": 1.3, "total": 2.2}, mlflow_run_id="4" * 32)
    story = _trained("binary")
    return Story(
        result,
        story.description,
        story.started,
        CONFIG,
        story.source,
        champion=story.champion,
        findings=(*FINDINGS[:1], missing, FINDINGS[2]),
    )


def failed() -> Story:
    """Every trial failed: nothing to judge."""
    story, error = _trained("binary"), "lightgbm.basic.LightGBMError: bad allocation"
    trials = tuple(Trial(number, "failed", NOW, None, (), 0.1, error) for number in range(3))
    search = Search("log_loss", trials, None, "3 failures in a row", 0.4)
    result = Result(
        "failed", f"no trial finished; the last said {error}", "tumours", AS_OF, seconds={"load": 0.4, "tune": 0.4, "total": 1.9}
    )
    return replace(story, result=result, search=search, evaluation=None, verdict=None, importance={}, attribution=None, undo="")


EVERY = {
    "promoted": promoted,
    "multiclass": lambda: promoted("multiclass"),
    "regression": lambda: promoted("regression"),
    "first": first,
    "searched": searched,
    "families": lambda: searched(40, families=2),
    "blended": blended,
    "kept": kept,
    "asked": asked,
    "forbidden": forbidden,
    "unchanged": unchanged,
    "data_rejected": data_rejected,
    "failed": failed,
}


@cache
def _trained(task: Any) -> Story:
    frame, target, truth, predictions, importance = _fit(task)
    rows = np.arange(len(frame))
    train, test = rows[rows % 3 > 0], rows[rows % 3 == 0]
    challenger, champion = (score(DEFAULTS[task], truth, prediction) for prediction in predictions)
    metric = DEFAULTS[task][0]
    note = f"{metric} {challenger[metric]:.4f} against the champion's {champion[metric]:.4f} on {len(test)} rows"
    evaluation = judged(Evaluation(metric, challenger, champion, len(test), "champion", "", truth, *predictions))
    unsure = task == "regression"  # its challenger is behind by more than the margin, and the rows cannot tell
    compared = Check("champion", not unsure, note + (" (gate.unsure is promote)" if unsure else ""), unsure)
    story_verdict = Verdict(
        "promote", note, (compared, Check("leakage", True, "no column looks as if it were known only later")), MARGIN * champion[metric]
    )
    search = _search(metric)
    result = Result(
        "promoted",
        note,
        "tumours",
        AS_OF,
        version="4",
        tuned=True,
        tune_reason="tuning.when is always",
        hyperparameters=NOW,
        metric={"name": metric, "challenger": challenger[metric], "champion": champion[metric]},
        seconds=SECONDS,
        rows={"train": len(train), "test": len(test)},
        mlflow_run_id="0123456789abcdef" * 2,
        prefect_flow_run_id="01234567-89ab-cdef-0123-456789abcdef",
        look={"MLflow": "http://127.0.0.1:5000/#/experiments/1?workflowType=machine_learning", "pages": "evertune up"},
    )
    columns = Columns(target, dict.fromkeys(map(str, frame.columns), "number"), left_out={"patient": "every value is different"})
    return Story(
        result,
        "Is a tumour benign?",
        datetime(2026, 11, 2, 6, 30, tzinfo=UTC),
        CONFIG,
        SourceRecord("python", "tumours:read", len(frame) + 30, 31, 140_000, "9f2c0d1e8a7b6c5d"),
        Table(frame, columns, "aa11bb22cc33dd44", FINDINGS, unlabelled=12, after_cut=18),
        Split(
            (Fold(train[:100], train[100:200]),),
            train,
            test,
            "Rows fall into buckets by a hash of their key: 80 % to train on, 20 % to test on.",
        ),
        Decision(True, "tuning.when is always"),
        search,
        evaluation,
        story_verdict,
        Champion("tumours", "3", "models:/tumours/3", "f" * 32, None, "c", "d", "s", "lightgbm", BEFORE, {"family": "lightgbm"}),
        "lightgbm",
        importance,
        FINDINGS,
        "by hand",
        undo="evertune rollback tumours",
        drift=drift_of(frame),
        rewriting=REWRITING,
        attribution=attribution_of(evaluation),
        wear=Wear(3, 10),
        past=past_scores(metric, champion[metric]),
    )


def _fit(task: Any) -> Any:
    """Challenger and champion on two thirds of the rows; truth and both predictions on the rest."""
    import sklearn.datasets
    from lightgbm import LGBMClassifier, LGBMRegressor

    data = getattr(sklearn.datasets, LOADERS[task])(as_frame=True)
    frame, truth = data.data, data.target.to_numpy(dtype=np.float64)
    test = np.arange(len(frame)) % 3 == 0
    kind = LGBMRegressor if task == "regression" else LGBMClassifier
    models = [kind(**settings, verbose=-1, n_jobs=1).fit(frame[~test].to_numpy(), truth[~test]) for settings in (NOW, BEFORE)]
    predictions = [
        np.asarray(model.predict(frame[test].to_numpy()) if task == "regression" else model.predict_proba(frame[test].to_numpy()))
        for model in models
    ]
    if task == "binary":
        predictions = [prediction[:, 1] for prediction in predictions]
    gain = models[0].booster_.feature_importance("gain")
    importance = pd.Series(gain / gain.sum(), map(str, frame.columns)).sort_values(ascending=False).to_dict()
    classes = () if task == "regression" else tuple(str(name) for name in data.target_names)
    return frame, Target("benign", task, classes), truth[test], predictions, importance


def _search(metric: str) -> Search:
    """Twenty trials that get better, as searches do; every fourth pruned, one failed."""
    random = np.random.default_rng(0)
    sign = 1.0 if metric == "log_loss" else 40.0
    trials = []
    for number in range(20):
        value = sign * float(0.1 + 0.15 * np.exp(-number / 6) + 0.02 * random.random() + 0.6 * (number == 1))
        if number == 7:
            trials.append(Trial(number, "failed", NOW, None, (), 0.2, "LightGBMError: Check failed: (num_leaves) > (1)"))
        elif number % 4 == 3:
            trials.append(Trial(number, "pruned", NOW, None, (value * 1.05,), 0.7))
        else:
            trials.append(Trial(number, "finished", NOW, value, (value * 0.98, value, value * 1.02), 2.1))
    finished = [trial for trial in trials if trial.value is not None]
    best = min(finished, key=lambda trial: trial.value or 0.0)
    return Search(metric, tuple(trials), best, "20 trials", 41.2)
