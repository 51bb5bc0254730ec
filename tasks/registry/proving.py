"""Proving that a saved model can be served before anybody relies on it: asked as a server elsewhere would ask it.

The files are fetched from the artifact store by the model's URI, as whoever serves it will, their digest is taken, and
exactly these files are loaded in a clean process and answer requests in JSON. What is asked is what breaks models in
practice: missing values, unseen categories, one row, many, columns in another order, numbers without decimals.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from tasks.errors import ServiceUnavailable, TrainingFailed
from tasks.models.model import Fitted, Model
from tasks.registry.asking import Outsider
from tasks.registry.digesting import changed_files, fetched, model_digest, private_folder
from tasks.registry.saving import EXAMPLE_FILE, answer_of, to_serve
from tasks.wording import clean

LIMIT_SECONDS = 120.0
MANY = 300
TOLERANCE = 1e-6
"""Numbers may differ by this share of the largest one of their column: networks add up in another order elsewhere."""
UNSEEN = "never seen in training"
ROW_TEXT = 400


@dataclass(frozen=True)
class Case:
    """One request that was answered as it should be."""

    name: str
    rows: int
    seconds: float


@dataclass(frozen=True)
class Proof:
    """What was asked, and the digest of the files that answered. `startup_seconds` were spent beside other work, if started early."""

    cases: tuple[Case, ...]
    digest: str
    startup_seconds: float
    seconds: float
    """From being asked for until it was there: what the proof cost its caller."""
    bytes: int
    """Size of the model's files."""


class Prover:
    """A clean process that proves one model after the other; a context manager.

    `start` returns at once and leaves it importing while others work; `prove` starts it where nobody did, or where it has
    gone away since. `models` are settings whose libraries it imports beforehand; `limit` is in seconds, for a proof.
    """

    def __init__(self, models: Iterable[Model] = (), limit: float = LIMIT_SECONDS) -> None:
        self._libraries = {name for model in models for name in _imports(model)}
        self._limit = limit
        self._folder = ExitStack()
        self._outsider: Outsider | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, unless it runs already; it dies with the thread that starts it."""
        if self._outsider is not None and self._outsider.alive:
            return
        self.close()
        self._outsider = Outsider(self._folder.enter_context(private_folder()), self._libraries, self._limit)

    def prove(self, uri: str, fitted: Fitted, example: pd.DataFrame) -> Proof:
        """Ask the logged model; same rows, same answers. `example` holds raw columns, a few hundred rows or fewer.

        Raises TrainingFailed with the request, the row and both answers where they differ, or with what went wrong;
        ServiceUnavailable when the artifact store does not hold what was written.
        """
        began = time.monotonic()
        self.start()
        assert self._outsider is not None
        with fetched(uri) as folder:
            if broken := changed_files(folder):
                raise ServiceUnavailable(
                    f"the artifact store does not hold {uri} as it was saved: {', '.join(broken)} differ; run again once it is back"
                )
            digest, size = model_digest(folder), sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            asked = _requests(fitted, example, folder)
            try:
                replies = list(self._outsider.ask(folder, [(name, body) for name, _, body in asked]))
                for (name, frame, _), reply in zip(asked, replies, strict=True):
                    _compare(name, frame, answer_of(fitted, frame), reply.text)
            except TrainingFailed as error:
                raise TrainingFailed(f"the logged model {uri} cannot be served: {error}; it was not registered") from error.__cause__
        cases = tuple(Case(name, len(frame), round(reply.seconds, 4)) for (name, frame, _), reply in zip(asked, replies, strict=True))
        startup = self._outsider.startup_seconds or 0.0
        return Proof(cases, digest, round(startup, 3), round(time.monotonic() - began, 3), size)

    def close(self) -> None:
        """End the process, whatever it is doing; may be called twice."""
        if self._outsider is not None:
            self._outsider.close()
        self._outsider = None
        self._folder.close()


def prove_servable(uri: str, fitted: Fitted, example: pd.DataFrame) -> Proof:
    """One proof in a process of its own, which takes seconds to start. Raises what `Prover.prove` raises."""
    with Prover([fitted.model]) as prover:
        return prover.prove(uri, fitted, example)


def _imports(model: Model) -> set[str]:
    """Modules that the code which serves a model imports, `load_native` above all."""
    found: set[str] = set()
    for node in (node for text in model.sources() for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _requests(fitted: Fitted, example: pd.DataFrame, folder: Path) -> list[tuple[str, pd.DataFrame, str]]:
    """What is asked: a name, the rows, and the body of the request. Infinite numbers, which JSON lacks, count as missing."""
    rows = to_serve(example, fitted).replace([np.inf, -np.inf], np.nan).reset_index(drop=True)
    if rows.empty:
        raise TrainingFailed("there are no rows to prove a model with")
    saved = (folder / EXAMPLE_FILE).read_text(encoding="utf-8")
    shown = json.loads(saved)["dataframe_split"]
    kinds = {kind: [column["name"] for column in fitted.plan["columns"] if column["kind"] == kind] for kind in ("number", "category")}
    many = rows.iloc[np.arange(MANY) % len(rows)].reset_index(drop=True)
    whole = rows.assign(**{name: np.round(rows[name]) for name in kinds["number"]})
    asked = [
        ("one row", rows.head(1), _records(rows.head(1))),
        ("many rows", many, _split(many)),
        ("missing values", missing := _missing(rows), _split(missing)),
        ("numbers without decimals", whole, _split(whole, whole=True)),
        ("other order, one column more", rows, _split(rows[rows.columns[::-1]].assign(**{_unused(rows): "ignored"}))),
    ]
    if kinds["category"]:
        unseen = rows.assign(**dict.fromkeys(kinds["category"], UNSEEN))
        asked.insert(3, ("unseen categories", unseen, _split(unseen)))
    return [("input example", to_serve(pd.DataFrame(shown["data"], columns=shown["columns"]), fitted), saved), *asked]


def _missing(rows: pd.DataFrame) -> pd.DataFrame:
    """A row without its value for each column in turn, and one without any."""
    count = len(rows.columns)
    made = rows.iloc[np.arange(count + 1) % len(rows)].reset_index(drop=True)
    for place, name in enumerate(rows.columns):
        made[name] = made[name].mask(made.index.isin([place, count]))
    return made


def _split(rows: pd.DataFrame, whole: bool = False) -> str:
    return json.dumps(
        {"dataframe_split": {"columns": list(rows.columns), "data": _plain(rows, whole).to_numpy().tolist()}}, allow_nan=False
    )


def _records(rows: pd.DataFrame) -> str:
    return json.dumps({"dataframe_records": _plain(rows).to_dict("records")}, allow_nan=False)


def _plain(rows: pd.DataFrame, whole: bool = False) -> pd.DataFrame:
    """As JSON has it: times as text, None for what is missing, `whole` numbers without a point."""

    def plain(value: Any) -> Any:
        if pd.isna(value):
            return None
        if isinstance(value, pd.Timestamp):
            return value.isoformat()
        return int(value) if whole and isinstance(value, float) else value

    return rows.astype(object).map(plain).astype(object).where(rows.notna(), None)


def _unused(rows: pd.DataFrame) -> str:
    name = "more"
    while name in rows:
        name += "_"
    return name


def _compare(name: str, rows: pd.DataFrame, expected: pd.DataFrame, text: str) -> None:
    """Served answers against the trained model's own. Raises TrainingFailed for the first row that differs, or is no finite number."""
    answered = pd.DataFrame(json.loads(text)["predictions"])
    if set(answered.columns) != set(expected.columns) or len(answered) != len(expected):
        raise TrainingFailed(
            f"the request {name!r} ({len(expected)} rows) is answered by {len(answered)} rows of {list(answered.columns)}, "
            f"not by {list(expected.columns)}"
        )
    wrong = np.zeros(len(expected), dtype=bool)
    for column in expected.columns:
        wrong |= _differ(column, expected[column], answered[column])
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    served, trained = (clean(frame.iloc[row].to_dict(), ROW_TEXT) for frame in (answered, expected))
    raise TrainingFailed(
        f"the request {name!r} is answered otherwise in {int(wrong.sum())} of {len(expected)} rows; first row {row + 1}: "
        f"{clean(rows.iloc[row].to_dict(), ROW_TEXT)}: served {served}, trained {trained}"
    )


def _differ(column: str, expected: pd.Series, answered: pd.Series) -> Any:
    """True where two answers are not the same; shape (rows,)."""
    if not pd.api.types.is_float_dtype(expected.dtype):
        return (expected.astype(object) != answered.astype(object)).to_numpy()
    ours, theirs = expected.to_numpy(np.float64), pd.to_numeric(answered, errors="coerce").to_numpy(np.float64)
    largest = np.abs(ours[np.isfinite(ours)]).max(initial=0.0)
    return ~(np.isfinite(ours) & np.isclose(theirs, ours, rtol=TOLERANCE, atol=TOLERANCE * largest))
