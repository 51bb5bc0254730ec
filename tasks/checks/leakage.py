"""Leakage: features that look as if they were known only after the event.

Two signs, each cheap: one column alone predicts nearly perfectly; or a column is missing just where the label is.
More signs, which need the split or the order of time, are in `crossings` and `changes`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Floats, Suspect, Target
from tasks.settings import ColumnKind, LeakageSettings
from tasks.wording import say_share

Codes = NDArray[np.intp]
MOST_ROWS, FEWEST_ROWS = 50_000, 2_000
MOST_CELLS = 2_500_000
"""Wide tables are judged on fewer rows, so that the time does not grow with the columns."""
MOST_CLASSES = 20
DEPTH = 6
SMOOTHING = 10.0
"""A category's rate counts as if this many average rows were among its own."""
FEWEST_UNLABELLED = 20
MOST_MISSING_LABELLED, LEAST_MISSING_UNLABELLED = 0.05, 0.5


def find_suspects(
    frame: pd.DataFrame, unlabelled: pd.DataFrame, target: Target, features: Mapping[str, ColumnKind], settings: LeakageSettings
) -> tuple[Suspect, ...]:
    """Features that one of the two signs speaks against, the strongest first.

    `frame` holds the labelled rows, `unlabelled` the others of the same time; columns in `settings.allow` are not looked at.
    """
    if settings.action == "off":
        return ()
    watched = {name: kind for name, kind in features.items() if name not in settings.allow}
    late = _missing_with_label(frame, unlabelled, watched)
    scores = single_scores(frame, target, watched)
    alone = [
        Suspect(name, f"predicts {target.column} nearly perfectly on its own", score)
        for name, score in scores.items()
        if score >= settings.threshold and name not in late
    ]
    return tuple(sorted([*late.values(), *alone], key=lambda suspect: (-suspect.score, suspect.column)))


def single_scores(frame: pd.DataFrame, target: Target, features: Mapping[str, ColumnKind]) -> dict[str, float]:
    """How far each column alone gets from chance (0) to perfect (1): 2 AUC - 1 (mean over classes, one against the rest), or R2.

    Two halves of at most 50,000 rows (fewer where there are more than 50 columns) predict each other: a shallow tree on a
    number or date, smoothed rates on a category. The same rows give the same scores.
    """
    most = min(MOST_ROWS, max(FEWEST_ROWS, MOST_CELLS // max(1, len(features))))
    sample = frame.iloc[np.random.default_rng(0).permutation(len(frame))[:most]]
    first = np.arange(len(sample)) < len(sample) // 2
    outcome = outcome_of(sample[target.column], target)
    scores = {}
    for name, kind in features.items():
        codes, guesser = codes_of(sample[name], kind), guess_by_rates if kind == "category" else _tree
        guess = np.empty_like(outcome)
        for train in (first, ~first):
            guess[~train] = guesser(codes[train], outcome[train], codes[~train])
        scores[name] = score_guess(outcome, guess, target)
    return scores


def score_guess(outcome: Floats, guess: Floats, target: Target) -> float:
    """From chance (0) to perfect (1): the mean over classes of 2 AUC - 1, or R2; both of shape (rows, outputs)."""
    measure = distance_from_chance if target.classes else r2
    return float(np.mean([measure(outcome[:, k], guess[:, k]) for k in range(outcome.shape[1])]))


def outcome_of(labels: pd.Series, target: Target) -> Floats:
    """Values where there are no classes, the positive class's indicator, or one a class for the most frequent ones; (rows, outputs)."""
    if not target.classes:
        return labels.to_numpy(dtype=np.float64)[:, None]
    frequent = labels.value_counts().sort_index(kind="stable").nlargest(MOST_CLASSES).index.tolist()
    watched = target.classes[1:] if target.task == "binary" else frequent
    return np.column_stack([(labels == value).to_numpy(dtype=np.float64) for value in watched])


def codes_of(values: pd.Series, kind: ColumnKind) -> Codes:
    """Positions among the distinct values, in their order if they have one; shape (rows,).

    Positions keep neighbours apart that a tree, which reads float32, would take for one. A missing category is -1, any other
    missing value lies so far below that no split between two values comes near it.
    """
    if kind == "category":
        return pd.factorize(values)[0]
    if kind == "date":
        times = pd.to_datetime(values, utc=True, errors="coerce").dt.as_unit("us")
        numbers = np.where(times.isna(), np.nan, times.astype("int64").to_numpy(dtype=np.float64))
    else:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    codes = np.full(len(numbers), -2 * len(numbers), dtype=np.intp)
    there = ~np.isnan(numbers)
    codes[there] = np.unique(numbers[there], return_inverse=True)[1]
    return codes


def _tree(codes: Codes, outcome: Floats, asked: Codes) -> Floats:
    """A shallow tree's answer for the codes asked for; shape (rows asked, outputs)."""
    from sklearn import config_context
    from sklearn.tree import DecisionTreeRegressor

    leaf = min(20, max(1, len(codes) // 20))
    with config_context(skip_parameter_validation=True):  # checks that cost more than the tree itself
        tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=leaf, random_state=0)
        tree.fit(codes.astype(np.float32)[:, None], np.ascontiguousarray(outcome), check_input=False)
    answer = tree.predict(asked.astype(np.float32)[:, None], check_input=False)
    return np.asarray(answer, dtype=np.float64).reshape(-1, outcome.shape[1])


def guess_by_rates(codes: Codes, outcome: Floats, asked: Codes, smoothing: float = SMOOTHING) -> Floats:
    """Each category's mean outcome, drawn towards the overall mean, for the codes asked for; shape (rows asked, outputs)."""
    size = int(max(codes.max(initial=0), asked.max(initial=0))) + 2
    counts = np.bincount(codes + 1, minlength=size)
    sums = np.column_stack([np.bincount(codes + 1, weights=column, minlength=size) for column in outcome.T])
    rates = (sums + smoothing * outcome.mean(axis=0)) / (counts + smoothing)[:, None]
    return np.asarray(rates[asked + 1])


def distance_from_chance(truth: Floats, guess: Floats) -> float:
    """2 AUC - 1, at least 0; ties count half. Mann and Whitney's U over the number of pairs."""
    _, levels = np.unique(guess, return_inverse=True)
    positive, total = np.bincount(levels, weights=truth), np.bincount(levels)
    negative = total - positive
    pairs = positive.sum() * negative.sum()
    if not pairs:
        return 0.0
    below = np.cumsum(negative) - negative
    auc = float((positive * (below + negative / 2)).sum() / pairs)
    return max(0.0, 2 * auc - 1)


def r2(truth: Floats, guess: Floats) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return max(0.0, 1 - float(((truth - guess) ** 2).sum()) / spread) if spread else 0.0


def _missing_with_label(frame: pd.DataFrame, unlabelled: pd.DataFrame, features: Mapping[str, ColumnKind]) -> dict[str, Suspect]:
    """Columns that are nearly always there beside a label and mostly missing without one."""
    if len(unlabelled) < FEWEST_UNLABELLED:
        return {}
    suspects = {}
    for name in features:
        with_label, without = float(frame[name].isna().mean()), float(unlabelled[name].isna().mean())
        if with_label < MOST_MISSING_LABELLED and without > LEAST_MISSING_UNLABELLED:
            shares = f"missing in {say_share(without)} of the rows without a label, in {say_share(with_label)} of the others"
            suspects[name] = Suspect(name, f"known only once the label is: {shares}", without - with_label)
    return suspects
