"""`evertune predict`, with a real registry on SQLite: what is read, written, counted and refused."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from pandas._libs.parsers import STR_NA_VALUES

import flows.commands.predicting
from flows.commands import predicting
from flows.commands.predicting import Reference, read_reference
from flows.commands.raw_columns import MISSING
from tasks.errors import ConfigError, Conflict, DataRejected, ServiceUnavailable
from tasks.features import build_features
from tasks.homes import Home
from tasks.models import parse_model
from tasks.models.model import Fitted, matrix
from tasks.records import Columns, Target
from tasks.registry.digesting import fetched, model_digest
from tasks.registry.saving import answer_of, save_model
from tasks.settings import FeatureSettings
from tasks.stage import Timing
from tasks.tracking import connect, open_run
from tests.tasks.models.test_families import fitting

FEATURES = {"price": "number", "member": "number", "zip": "category", "shop": "category", "day": "date"}
ANSWERS = ["prediction", "probability_no", "probability_yes"]


def table(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """Raw rows as a table of orders has them: a key, columns of every kind with gaps, and one that no model reads."""
    random = np.random.default_rng(seed)
    price, zips = random.normal(size=rows).round(3), random.choice([7, 12, 40], rows)
    return pd.DataFrame(
        {
            "id": [f"{place:05d}" for place in range(rows)],
            "price": np.where(random.random(rows) < 0.1, np.nan, price),
            "member": random.random(rows) < 0.5,
            "zip": zips,
            "shop": pd.Series(random.choice(["north", "so, uth", 'w"est'], rows), dtype="str").where(random.random(rows) > 0.1),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 8760, rows), "h"),
            "note": "as, it was",
            "label": np.where(price + (zips == 7) + random.normal(size=rows) > 0, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    rows, target = table(), Target("label", "binary", ("no", "yes"))
    model = parse_model({"family": "lightgbm", "hyperparameters": {"num_leaves": 5, "num_iterations": 20, "min_data_in_leaf": 5}})
    features = build_features.plain(Columns(target, FEATURES), FeatureSettings(rare=2), "native").fit(rows)  # type: ignore[arg-type]
    asked = fitting("binary")
    train = matrix(features, rows, (rows["label"] == "yes").to_numpy(float))
    return Fitted(model, features, model.fit(model.prepare(train, None, asked), asked), target)


@pytest.fixture(scope="module")
def registry(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory, fitted: Fitted) -> Home:
    """A home with version 1 of shop in it, with its digest and the alias; no test changes it for good."""
    home = Home.named(tmp_path_factory.mktemp("registry"))
    home.prepare()
    shutil.copy(migrated_store, home.root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracker = connect(home, "shop")
    with open_run(tracker, "retrain", {}, Timing()) as run:
        uri = save_model(run, fitted, table(20), "shop", {})
    with fetched(uri) as folder:
        digest = model_digest(folder)
    tracker.client.create_registered_model("shop")
    tracker.client.create_model_version("shop", uri, tags={"evertune.digest": digest})
    tracker.client.set_registered_model_alias("shop", "champion", "1")
    return home


@pytest.fixture
def champion(registry: Home, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """The version that is live in the home that commands see."""
    monkeypatch.setenv("EVERTUNE_HOME", str(registry.root))
    return MlflowClient(registry.mlflow_url).get_model_version("shop", "1")


def few_rows_at_once(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(predicting, "FEWEST", 1)
    monkeypatch.setattr(predicting, "MOST", rows)


Predict = Callable[..., int]


@pytest.fixture
def predict(tmp_path: Path) -> Predict:
    """The command: `predict("in.csv", "out.csv", "--json")`, in the test's folder."""
    parser = argparse.ArgumentParser()
    predicting.add_commands(parser.add_subparsers())

    def run(source: str, output: str, *more: str, model: str = "shop@champion") -> int:
        options = parser.parse_args(["predict", "--model", model, str(tmp_path / source), str(tmp_path / output), *more])
        return int(options.command(options))

    return run


def write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"id": str})


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
@pytest.mark.parametrize("source", ["in.csv", "in.csv.gz", "in.parquet"])
def test_every_row_is_answered_as_the_trained_model_answers_it(
    predict: Predict, fitted: Fitted, tmp_path: Path, source: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows_at_once(monkeypatch, 64)
    rows = table(150, seed=1)
    write(rows[rows.columns[::-1]], tmp_path / source)
    assert predict(source, output) == 0
    written = read(tmp_path / output)
    assert list(written.columns) == [*rows.columns[::-1], *ANSWERS]
    expected = answer_of(fitted, rows)
    assert written["prediction"].tolist() == expected["prediction"].tolist()
    np.testing.assert_allclose(written[ANSWERS[1:]], expected[ANSWERS[1:]], rtol=1e-12)
    assert written["id"].tolist() == rows["id"].tolist()
    assert written["note"].tolist() == rows["note"].tolist()
    assert written["price"].astype(float).tolist() == pytest.approx(rows["price"].tolist(), nan_ok=True)


@pytest.mark.usefixtures("champion")
def test_columns_of_a_csv_are_carried_through_letter_by_letter(predict: Predict, tmp_path: Path) -> None:
    lines = [
        "id,price,member,zip,shop,day,a,note",
        '007,1.50,True,7,north,2024-01-31,"x,y",',
        '8,NA,,07,"",,"say ""a""", b',
        "9,1e3,false,7.0,w,,é,c",
    ]
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert predict("in.csv", "out.csv") == 0
    written = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert written[0] == ",".join([lines[0], *ANSWERS])
    assert [line.rpartition(",")[0].rpartition(",")[0].rpartition(",")[0] for line in written[1:]] == [
        lines[1],
        lines[2].replace('""', "", 1),
        lines[3],
    ]


@pytest.mark.usefixtures("champion")
def test_types_of_a_parquet_file_are_carried_through(predict: Predict, tmp_path: Path) -> None:
    rows = table(5)
    arrow = pa.Table.from_pandas(rows.assign(tags=[["a"]] * 5, count=[1, None, 3, 4, 5]), preserve_index=False)
    arrow = arrow.set_column(arrow.schema.get_field_index("count"), "count", pa.array([1, None, 3, 4, 5], pa.int32()))
    pq.write_table(arrow, tmp_path / "in.parquet")
    assert predict("in.parquet", "out.parquet") == 0
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(arrow.column_names).equals(arrow.replace_schema_metadata(None))
    with pytest.raises(DataRejected, match=r"OUT: column 'tags' holds list<.*>, which CSV cannot hold; write .parquet instead"):
        predict("in.parquet", "out.csv")
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["in.parquet", "out.parquet"]


@pytest.mark.usefixtures("champion")
def test_values_are_understood_as_training_read_them_from_a_csv_file(predict: Predict, fitted: Fitted, tmp_path: Path) -> None:
    """zip was a column of numbers: 07, 7.0 and 7 are one; true is True, and NA and the empty field are missing."""
    odd = table(6).astype(object).assign(zip=["07", "7.0", "7", "NULL", "", "7e0"], member=["true", "TRUE", "True", "1", "NA", ""])
    same = table(6).assign(zip=[7, 7, 7, None, None, 7], member=[1, 1, 1, 1, None, None])
    write(odd, tmp_path / "odd.csv")
    assert predict("odd.csv", "out.csv") == 0
    np.testing.assert_allclose(read(tmp_path / "out.csv")["probability_yes"], answer_of(fitted, same)["probability_yes"], rtol=1e-12)


def test_a_missing_value_is_written_as_pandas_reads_one() -> None:
    assert MISSING == STR_NA_VALUES


@pytest.mark.usefixtures("champion")
def test_what_is_unusual_is_counted_and_the_summary_says_so_in_two_lines(
    predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = table(50).assign(price=[np.nan, np.inf, *range(48)], shop=["new"] * 3 + ["north"] * 47)
    write(rows, tmp_path / "in.csv")
    assert predict("in.csv", "out.csv") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "50 rows scored by shop v1 (champion)"
    assert second.startswith(f"{tmp_path / 'out.csv'} in ")
    assert second.endswith(": missing: price 2; unknown categories: shop 3")


def test_the_summary_as_json(predict: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str], champion: ModelVersion) -> None:
    write(table(3).assign(price=[1, 2, None], shop=["north", "new", "north"]), tmp_path / "in.csv")
    assert predict("in.csv", "out.parquet", "--json", model="shop/1") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary.pop("seconds") > 0
    assert summary == {
        "model": "shop",
        "version": "1",
        "alias": None,
        "digest": champion.tags["evertune.digest"],
        "rows": 3,
        "input": str(tmp_path / "in.csv"),
        "output": str(tmp_path / "out.parquet"),
        "missing": {"price": 1},
        "unknown_categories": {"shop": 1},
    }


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("source", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_no_row_gives_a_table_without_rows(predict: Predict, tmp_path: Path, source: str, output: str) -> None:
    write(table(3).head(0), tmp_path / source)
    assert predict(source, output) == 0
    written = read(tmp_path / output)
    assert list(written.columns) == [*table(1).columns, *ANSWERS]
    assert len(written) == 0


REJECTED: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "a column is not there": (
        lambda rows: rows.rename(columns={"price": "prices"}),
        r"lacks price, which shop v1 reads; did you mean prices\?",
    ),
    "a text for a number": (
        lambda rows: rows.astype({"price": object}).assign(price=["1"] * 19 + ["dear"]),
        r"column 'price' must hold numbers.*; row 20 has dear \(1 such value in rows 1 to 20\)",
    ),
    "no date": (lambda rows: rows.assign(day="last week"), r"column 'day' must hold dates, or ISO 8601 text.*; row 1 has last week"),
    "an answer's name is taken": (lambda rows: rows.assign(prediction=1), r"has the column 'prediction' already.*; rename it"),
}


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("harm", REJECTED)
@pytest.mark.parametrize("source", ["in.csv", "in.parquet"])
def test_a_table_that_the_model_cannot_read_is_rejected_and_nothing_is_left(
    predict: Predict, tmp_path: Path, source: str, harm: str
) -> None:
    change, words = REJECTED[harm]
    write(change(table(20)), tmp_path / source)
    with pytest.raises(DataRejected, match=rf"IN: .*{source}.*{words}"):
        predict(source, "out.csv")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [source]


@pytest.mark.usefixtures("champion")
def test_a_parquet_column_of_another_type_is_rejected_with_both(predict: Predict, tmp_path: Path) -> None:
    write(table(5).assign(price=["1"] * 5), tmp_path / "in.parquet")
    with pytest.raises(DataRejected, match=r"column 'price' must hold numbers, whole ones within 2\^53, got text \(str\); convert it"):
        predict("in.parquet", "out.csv")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "cut gzip": ("in.csv.gz", cut, "is not readable CSV: Truncated compressed stream"),
    "cut Parquet": ("in.parquet", cut, "is not readable Parquet"),
    "more fields": (
        "in.csv",
        lambda path: path.write_text(path.read_text() + "1,2\n"),
        r"is not readable CSV: .*Expected 8 columns, got 2",
    ),
    "no text": ("in.csv", lambda path: path.write_bytes(path.read_bytes().replace(b"north", b"n\xff")), "invalid UTF8 data"),
    "twice": (
        "in.csv",
        lambda path: path.write_text(path.read_text().replace("note", "price", 1)),
        "has the column 'price' more than once",
    ),
    "empty": ("in.csv", lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "folder": ("in.csv", lambda path: (path.unlink(), path.mkdir()), "must be a regular file, got a folder"),
    "gone": ("in.csv", Path.unlink, "there is no file"),
}


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize("harm", BROKEN)
def test_a_broken_file_is_rejected_and_nothing_is_left(predict: Predict, tmp_path: Path, harm: str) -> None:
    source, break_it, words = BROKEN[harm]
    write(table(400), tmp_path / source)
    break_it(tmp_path / source)
    with pytest.raises(DataRejected, match=rf"IN: .*{words}"):
        predict(source, "out.csv")
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.usefixtures("champion")
def test_a_file_that_grows_while_it_is_read_is_rejected(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(table(20), tmp_path / "in.csv")
    plain = flows.commands.predicting._answers

    def meanwhile(*given: Any) -> Any:
        for answered in plain(*given):
            with (tmp_path / "in.csv").open("a") as file:
                file.write("more")
            yield answered

    monkeypatch.setattr(flows.commands.predicting, "_answers", meanwhile)
    with pytest.raises(DataRejected, match="changed while it was being read"):
        predict("in.csv", "out.csv")
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.usefixtures("champion")
def test_a_file_that_is_there_is_replaced_only_by_force(predict: Predict, tmp_path: Path) -> None:
    write(table(3), tmp_path / "in.csv")
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"OUT: .*out.csv is there already; name another file, or add --force to replace it"):
        predict("in.csv", "out.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert predict("in.csv", "out.csv", "--force") == 0
    assert len(read(tmp_path / "out.csv")) == 3
    with pytest.raises(ConfigError, match=r"OUT: .*in.csv is IN itself"):
        predict("in.csv", "in.csv", "--force")


@pytest.mark.usefixtures("champion")
def test_a_table_that_fails_half_way_leaves_what_was_there(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_rows_at_once(monkeypatch, 10)
    write(table(30).astype({"price": object}).assign(price=["1"] * 29 + ["dear"]), tmp_path / "in.csv")
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(DataRejected, match=r"row 30 has dear \(1 such value in rows 21 to 30\)"):
        predict("in.csv", "out.csv", "--force")
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.usefixtures("champion")
def test_a_full_disk_leaves_nothing(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource
    import signal

    write(table(20_000), tmp_path / "in.csv")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    plain = flows.commands.predicting.whole_file

    def with_little_room(*given: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # what the kernel then says is what a full disk says, but in name
        return plain(*given)

    monkeypatch.setattr(flows.commands.predicting, "whole_file", with_little_room)
    try:
        with pytest.raises(ServiceUnavailable, match=r"OUT: .*out.csv cannot be written: File too large; nothing was left there"):
            predict("in.csv", "out.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    ("source", "output", "words"),
    [
        ("in.txt", "out.csv", r"IN: must end in .csv, .csv.gz, .parquet, got .*in.txt"),
        ("in.csv", "out.xlsx", r"OUT: must end in .csv, .parquet, got .*out.xlsx"),
        ("in.csv", "nowhere/out.csv", r"OUT: there is no folder .*nowhere"),
        ("in.csv", "folder.csv", r"OUT: .*folder.csv is a folder"),
    ],
)
def test_names_are_looked_at_before_anything_else(predict: Predict, tmp_path: Path, source: str, output: str, words: str) -> None:
    write(table(3), tmp_path / "in.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match=words):
        predict(source, output)


@pytest.mark.usefixtures("champion")
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("shops@champion", r"there is no model 'shops' \(did you mean shop\?\)"),
        ("shop@challenger", r"--model: shop has no alias 'challenger' \(there are: champion \(v1\)\)"),
        ("shop/7", r"--model: shop has no version 7"),
        ("shop@", r"--model: must be NAME@ALIAS or NAME/VERSION, such as flights@champion or flights/3, got 'shop@'"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_what_is(predict: Predict, tmp_path: Path, model: str, words: str) -> None:
    write(table(3), tmp_path / "in.csv")
    with pytest.raises(ConfigError, match=words):
        predict("in.csv", "out.csv", model=model)


def test_where_nothing_was_ever_trained_no_registry_is_made(predict: Predict, tmp_path: Path) -> None:
    write(table(3), tmp_path / "in.csv")
    with pytest.raises(ConfigError, match=r"there is no model registry in .*home; run this where you retrain, or set EVERTUNE_HOME"):
        predict("in.csv", "out.csv")
    assert not (tmp_path / "home").exists()


def test_a_name_alone_is_its_champion() -> None:
    assert read_reference("shop") == Reference("shop", "champion")
    assert read_reference("shop/03") == Reference("shop", None, "3")
    assert read_reference("my shop@previous") == Reference("my shop", "previous")


def test_a_model_whose_files_were_changed_predicts_nothing(
    champion: ModelVersion, predict: Predict, registry: Home, tmp_path: Path
) -> None:
    code = next(registry.artifacts.rglob("served_model.py"))
    plain = code.read_text()
    write(table(3), tmp_path / "in.csv")
    code.write_text("raise SystemExit")
    try:
        with pytest.raises(Conflict, match=r"not those that were registered.*changed: served_model.py.*nothing of it was loaded") as told:
            predict("in.csv", "out.csv")
    finally:
        code.write_text(plain)
    assert told.value.exit_code == 5
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.usefixtures("champion")
def test_out_has_the_rights_of_any_new_file(predict: Predict, tmp_path: Path) -> None:
    write(table(3), tmp_path / "in.csv")
    (tmp_path / "plain").touch()
    predict("in.csv", "out.csv")
    assert (tmp_path / "out.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_importing_the_command_imports_no_heavy_library() -> None:
    import subprocess
    import sys

    code = "import sys, flows.commands.predicting; print({'pandas', 'pyarrow', 'mlflow', 'numpy'} & set(sys.modules))"
    root = Path(flows.commands.predicting.__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.strip() == "set()"
