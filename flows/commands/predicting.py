"""`evertune predict`: batch scoring with a registered model, after the checks that its training data went through."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.batches import READ, WRITTEN, Batches, BatchWriter, format_of, open_batches, refuse_existing, whole_file
from tasks.errors import ConfigError, DataRejected

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

REFERENCE = re.compile(r"(?P<name>[^@/:]+)(?:@(?P<alias>[\w.-]+)|/(?P<version>\d+))?")
CELLS = 4_000_000
"""Numbers in the matrix that a model reads at once: 32 MB."""
FEWEST, MOST = 500, 100_000
"""Rows at once, whatever the number of columns."""
SHOWN = 3
"""Columns in the summary; the JSON has them all."""


def add_commands(commands: Any) -> None:
    """Add these commands to the parser; each sets `command` to a function from the parsed options to an exit code."""
    text = "Score a file with a registered model: every column is carried through, prediction and probability_* come after them."
    added = commands.add_parser("predict", help="score a file with a registered model", description=text)
    added.set_defaults(command=predict)
    added.add_argument("--model", required=True, metavar="NAME@ALIAS", help="NAME@champion, another alias, or NAME/VERSION")
    added.add_argument("input", type=Path, metavar="IN", help=f"rows to score: {', '.join(READ)}")
    added.add_argument("output", type=Path, metavar="OUT", help=f"where to write them: {', '.join(WRITTEN)}")
    added.add_argument("--force", action="store_true", help="replace OUT if it is there already")
    added.add_argument("--json", action="store_true", help="the summary as one JSON object")


def predict(options: argparse.Namespace) -> int:
    """Score IN into OUT."""
    reference = read_reference(options.model)
    kind = check_paths(options.input, options.output, options.force)
    began = time.monotonic()
    chosen = find_model(reference)
    tally = score_file(chosen, options.input, options.output, kind, options.force)
    summary = {
        "model": chosen.name,
        "version": chosen.version,
        "alias": chosen.alias,
        "digest": chosen.digest,
        "rows": tally.rows,
        "input": str(options.input),
        "output": str(options.output),
        "missing": dict(tally.missing),
        "unknown_categories": dict(tally.unknown),
        "seconds": round(time.monotonic() - began, 3),
    }
    print(json.dumps(summary, indent=2) if options.json else describe(summary, tally))
    return 0


@dataclass(frozen=True)
class Reference:
    """A model as a person names it: by alias, or by version."""

    name: str
    alias: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Chosen:
    """A registered version, and the alias it was found by."""

    name: str
    version: str
    alias: str | None
    uri: str
    digest: str


@dataclass
class Tally:
    """What was counted on the way: rows, and by column missing values and categories that the model does not know."""

    rows: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def read_reference(text: str) -> Reference:
    """`flights@champion`, `flights/3`; `flights` alone is its champion. Raises ConfigError."""
    from tasks.registry import ALIAS

    found = REFERENCE.fullmatch(text)
    if found is None:
        raise ConfigError(f"--model: must be NAME@ALIAS or NAME/VERSION, such as flights@{ALIAS} or flights/3, got {text!r}")
    alias = None if found["version"] else found["alias"] or ALIAS
    return Reference(found["name"], alias, found["version"] and str(int(found["version"])))


def check_paths(source: Path, output: Path, replace: bool) -> str:
    """Everything about the two names that can be told before any work; returns OUT's format. Raises ConfigError, DataRejected."""
    format_of(source, READ, "IN")
    if not source.exists():
        raise DataRejected(f"IN: there is no file {source}")
    kind = format_of(output, WRITTEN, "OUT")
    if not output.parent.is_dir():
        raise ConfigError(f"OUT: there is no folder {output.parent}; make it, or name another")
    refuse_existing(output, replace)
    if output.exists() and source.exists() and output.samefile(source):
        raise ConfigError(f"OUT: {output} is IN itself; name another file")
    return kind


def find_model(reference: Reference) -> Chosen:
    """The version that is meant. Raises ConfigError where there is none, ServiceUnavailable when the registry does not answer."""
    from flows.services.registries import open_registry, unknown_model
    from tasks.registry import read_entry
    from tasks.registry.versions import DIGEST

    with open_registry() as (tracker, _):
        entry = read_entry(tracker, reference.name)
        if not entry.versions:
            raise unknown_model(tracker, reference.name)
    number = reference.version or entry.aliases.get(reference.alias or "")
    version = entry.find(number) if number else None
    if version is None:
        raise ConfigError(f"--model: {_lacking(reference, number, entry.aliases)}")
    return Chosen(entry.name, str(version.version), reference.alias, version.source, version.tags.get(DIGEST, ""))


def _lacking(reference: Reference, number: str | None, aliases: dict[str, str]) -> str:
    """What is not there, and what is."""
    if number is not None:
        return f"{reference.name} has no version {number}" + (f", which its alias {reference.alias} points at" if reference.alias else "")
    known = ", ".join(f"{alias} (v{version})" for alias, version in sorted(aliases.items()))
    return f"{reference.name} has no alias {reference.alias!r} (there are: {known or 'none'})"


def score_file(chosen: Chosen, source: Path, output: Path, kind: str, replace: bool) -> Tally:
    """Read, check, predict and write batch by batch; OUT is there, whole, when this returns.

    Raises Conflict when the model's files are not those that were registered, DataRejected when IN is not what it reads,
    ConfigError when a library that the model runs on is not installed.
    """
    import pyarrow as pa

    from flows.commands.raw_columns import as_served, require_columns
    from tasks.registry.digesting import load_verified

    model = f"{chosen.name} v{chosen.version}"
    with _libraries_of(model):
        served = load_verified(chosen.uri, chosen.digest)
        none = served.predict(None, as_served(served.plan, {}, 0))
    added = pa.Table.from_pandas(none, preserve_index=False).schema.remove_metadata()
    tally = Tally()
    with open_batches(source, _rows_at_once(served.plan)) as table:
        require_columns(served.plan, table.schema.names, added.names, source, model)
        schema = pa.schema([*table.schema, *added])
        with whole_file(output, replace) as file:
            writer = BatchWriter(file, kind, schema)
            for batch, answers in _answers(served, table, added, source, tally):
                writer.write(pa.table([*batch.columns, *answers.columns], schema=schema))
            writer.close()
    return tally


@contextmanager
def _libraries_of(model: str) -> Iterator[None]:
    """Raises ConfigError for a library that the model's family runs on and that is missing here, however MLflow wraps that."""
    try:
        yield
    except Exception as error:
        lacking = _missing_library(error)
        if lacking is None:
            raise
        from tasks.models.keras import PACKAGES

        packages = PACKAGES if lacking in ("keras", "tensorflow") else (lacking.replace("sklearn", "scikit-learn"),)
        extras = "make extras, elsewhere: " if packages is PACKAGES else ""
        by_hand = " ".join(f"'{package}'" for package in packages)
        raise ConfigError(
            f"{model} runs on {lacking}, which this Python lacks; install it: {extras}{sys.executable} -m pip install {by_hand}"
        ) from error


def _missing_library(error: BaseException | None) -> str | None:
    """The top-level name of a module that could not be imported, if that is what is behind an error."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name.partition(".")[0]
        error = error.__cause__ or error.__context__
    return None


def _answers(served: Any, table: Batches, added: pa.Schema, source: Path, tally: Tally) -> Iterator[tuple[pa.RecordBatch, pa.Table]]:
    """Each batch beside its answers; counts what it sees."""
    import pyarrow as pa

    from flows.commands.raw_columns import as_served, count_unusual, read_columns

    for batch in table.rows:
        columns = read_columns(served.plan, batch, table.text, source, tally.rows)
        frame: pd.DataFrame = as_served(served.plan, columns, batch.num_rows)
        count_unusual(served.plan, frame, tally.missing, tally.unknown)
        tally.rows += batch.num_rows
        answers = served.predict(None, frame)
        numbers = answers.select_dtypes("float")
        if not (numbers.abs() < float("inf")).all(axis=None):
            raise DataRejected(f"IN: {source}: the model has no finite answer to some of the rows up to row {tally.rows:,}")
        yield batch, pa.Table.from_pandas(answers, schema=added, preserve_index=False)


def _rows_at_once(plan: dict[str, Any]) -> int:
    widths = [(dense.get("width", 1) + dense["flag"]) for dense in plan["dense"]] if plan["encoding"] == "dense" else []
    width = sum(widths) or sum(len(column.get("parts", [column])) for column in plan["columns"])
    return max(FEWEST, min(MOST, CELLS // max(width, 1)))


def describe(summary: dict[str, Any], tally: Tally) -> str:
    """The summary in two lines."""
    from tasks.wording import say_count, say_duration

    alias = f" ({summary['alias']})" if summary["alias"] else ""
    unusual = [_most(what, found) for what, found in (("missing", tally.missing), ("unknown categories", tally.unknown)) if found]
    where = f"{summary['output']} in {say_duration(summary['seconds'])}"
    said = "; ".join(unusual) or "no missing value, no unknown category"
    return f"{say_count(tally.rows, 'row')} scored by {summary['model']} v{summary['version']}{alias}\n{where}: {said}"


def _most(what: str, found: Counter[str]) -> str:
    """`missing: wind_gust 256,391, plane_year 57,912, seats 9 and 2 more columns`."""
    from tasks.wording import clean, say_count

    shown = ", ".join(f"{clean(name)} {count:,}" for name, count in found.most_common(SHOWN))
    more = len(found) - SHOWN
    return f"{what}: {shown}" + (f" and {say_count(more, 'more column')}" if more > 0 else "")
