"""MLflow runs: the only file that opens and closes them. Everything goes through the client, never through fluent state.

A run always ends: FINISHED when the body ends, FAILED on an error (with tags failure.stage and failure.message),
KILLED on a signal. Host, pid and start time are tags, so that a run whose process died can be told from a live one.
While the store is away each call waits for it (tasks.patience); a run that it is away from at the very end stays RUNNING,
which the model's next retrain puts right.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import platform
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import ConfigError, EvertuneError, ServiceUnavailable
from tasks.homes import Home, first_access
from tasks.patience import PatientClient, is_passing, outage_of, say_why
from tasks.records import Scores, SourceRecord, Table
from tasks.sources.source import mask
from tasks.stage import Timing

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

BATCH = 100
METRICS_BATCH = 1000
TABLES_TAG = "mlflow.loggedArtifacts"
LONGEST_TAG = 5000
LONGEST_PARAMETER = 6000
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Tracker:
    """An MLflow store that answered, and one experiment in it."""

    client: MlflowClient
    experiment: str
    uri: str

    @property
    def at_once(self) -> Tracker:
        """The same, which waits for nothing: for what has time until later, and for what has none."""
        return replace(self, client=PatientClient.impatient(self.client))


@dataclass(frozen=True)
class Run:
    """An open run. Values that MLflow would refuse are made fit: long texts cut, numbers that are not finite left out."""

    tracker: Tracker
    id: str

    @property
    def client(self) -> MlflowClient:
        return self.tracker.client

    @property
    def at_once(self) -> Run:
        """The same run, written to without waiting: raises ServiceUnavailable as soon as the store does not answer."""
        return Run(self.tracker.at_once, self.id)

    def parameters(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        entries = [Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in values.items()]
        for start in range(0, len(entries), BATCH):
            self.client.log_batch(self.id, params=entries[start : start + BATCH])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.client.log_batch(self.id, metrics=_metrics(values, step))

    def tags(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import RunTag

        if values:
            self.client.log_batch(self.id, tags=[RunTag(name, str(value)[:LONGEST_TAG]) for name, value in values.items()])

    def text(self, content: str, path: str) -> None:
        self.client.log_text(self.id, content, path)

    def json(self, content: Any, path: str) -> None:
        self.text(json.dumps(content, indent=2, default=str), path)

    def data_set(self, source: SourceRecord, table: Table) -> None:
        """The rows this retrain saw: schema from a small head, digest over all of them."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        head = table.frame.head(100)
        zoned = {str(name): head[name].dt.tz_localize(None) for name in head.select_dtypes("datetimetz")}  # MLflow knows no zones
        columns = signature(head.assign(**zoned)).inputs.to_dict()
        described = Dataset(
            name=source.kind,
            digest=table.digest,
            source_type=source.kind,
            source=json.dumps({"location": source.location, "digest": source.digest, "rows": source.rows}),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": len(table.frame), "num_columns": len(table.frame.columns)}),
        )
        self.client.log_inputs(self.id, [DatasetInput(described, [InputTag("mlflow.data.context", "training")])])

    def batch(
        self, metrics: Sequence[tuple[str, float, int]], parameters: Mapping[str, Any] | None = None, at: float | None = None
    ) -> None:
        """Metrics as (name, value, step) and parameters in one request; in several where there are more than MLflow takes at once.

        `at` in seconds since 1970; now when left out. The same metrics written again with the same `at` are there once.
        """
        from mlflow.entities import Param

        entries = [entry for name, value, step in metrics for entry in _metrics({name: value}, step, at)]
        given = [Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in (parameters or {}).items()]
        for start in range(0, max(len(entries), 1), METRICS_BATCH):
            self.client.log_batch(self.id, entries[start : start + METRICS_BATCH], given[:BATCH] if start == 0 else ())
        for start in range(BATCH, len(given), BATCH):
            self.client.log_batch(self.id, params=given[start : start + BATCH])

    def table(self, rows: Sequence[Mapping[str, Any]], path: str) -> None:
        """Rows of the same keys as a JSON artifact that MLflow's page shows as a table (MLflow's log_table trips over pandas 3)."""
        columns = list(rows[0]) if rows else []
        self.json({"columns": columns, "data": [[row[column] for column in columns] for row in rows]}, path)
        shown = json.loads(self.client.get_run(self.id).data.tags.get(TABLES_TAG, "[]"))
        self.tags({TABLES_TAG: json.dumps([*shown, {"path": path, "type": "table"}])})

    def child(self, name: str, tags: Mapping[str, Any], started: float) -> Run:
        """A run within this one, `started` in seconds since 1970; whoever asked for it ends it.

        Asked for again with the same arguments after an answer was lost, it is the same run.
        """
        given = {"mlflow.parentRunId": self.id, "mlflow.source.name": "evertune", **tags}
        created = self.client.create_run(
            self.tracker.experiment,
            start_time=int(1000 * started),
            run_name=name,
            tags={key: str(value)[:LONGEST_TAG] for key, value in given.items()},
        )
        return Run(self.tracker, created.info.run_id)

    def end(self, status: str, ended: float) -> None:
        """End a child; `ended` in seconds since 1970."""
        self.client.set_terminated(self.id, status, int(1000 * ended))


def connect(home: Home, experiment: str) -> Tracker:
    """The store that MLFLOW_TRACKING_URI names, else the embedded one under EVERTUNE_HOME; the experiment is made if missing.

    Raises ServiceUnavailable when the store does not answer, ConfigError when the experiment was deleted.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    uri = os.environ.get("MLFLOW_TRACKING_URI") or home.mlflow_url
    artifacts = home.artifacts if uri == home.mlflow_url else None  # MLflow puts the address it was told into the environment
    try:
        with first_access(home):
            mlflow.set_tracking_uri(uri)
            client = mlflow.MlflowClient(uri)  # at the start nothing is waited for: nothing is lost yet
            outage = outage_of(uri)
            patient = cast("MlflowClient", PatientClient(client, outage))
            found = client.get_experiment_by_name(experiment)
            outage.begin()
            if found is None:
                place = None if artifacts is None else (artifacts / experiment).absolute().as_uri()
                return Tracker(patient, _create_experiment(client, experiment, place), uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise ServiceUnavailable(f"MLflow at {mask(uri)} cannot be used: {say_why(error)}") from error
    if found.lifecycle_stage != "active":
        raise ConfigError(
            f"MLflow's experiment {experiment!r} was deleted; restore it (mlflow experiments restore -x {found.experiment_id})"
        )
    return Tracker(patient, found.experiment_id, uri)


def _create_experiment(client: MlflowClient, name: str, place: str | None) -> str:
    """Its id; that of another process's which was a moment quicker."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(name, artifact_location=place))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(name).experiment_id)


@contextmanager
def open_run(tracker: Tracker, name: str, tags: Mapping[str, Any], timing: Timing) -> Iterator[Run]:
    """A parent run around the body; however the body ends, the run ends with the status that says so."""
    owner = {"evertune.host": platform.node(), "evertune.pid": os.getpid(), "evertune.process_started": _process_started()}
    owner |= {"evertune.machine": this_machine()}
    owner |= {"mlflow.source.name": "evertune", "mlflow.source.type": "LOCAL", "mlflow.user": os.environ.get("USER") or str(os.getuid())}
    created = tracker.client.create_run(
        tracker.experiment,
        start_time=int(1000 * time.time()),
        run_name=name,
        tags={key: str(value) for key, value in {**owner, "evertune.kind": "retrain", **tags}.items()},
    )
    run = Run(tracker, created.info.run_id)
    try:
        yield run
    except BaseException as error:  # signals and Prefect's cancellation too
        verdict = error.verdict if isinstance(error, EvertuneError) else "failed"
        what = mask(str(error)) if isinstance(error, Exception) else type(error).__name__
        tags = {"evertune.verdict": verdict, "failure.stage": timing.failed or "flow", "failure.message": what}
        if isinstance(error, Exception):
            _close(run, "FAILED", tags)
        else:
            _close(run.at_once, "KILLED", tags)  # whoever sent a signal does not wait for a server
        raise
    _close(run, "FINISHED")


def _close(run: Run, status: str, tags: Mapping[str, Any] | None = None) -> None:
    """Say how it ended; when MLflow does not take it, what the body came to, or raised, still stands."""
    try:
        run.tags(tags or {})
    except Exception as error:
        log.error("MLflow run %s: its failure could not be noted: %s", run.id, error)
    try:
        run.client.set_terminated(run.id, status)
    except Exception as error:
        log.error("MLflow run %s could not be ended as %s (%s); it is said to run until the next retrain ends it", run.id, status, error)


def service_fault(error: Exception) -> ServiceUnavailable | None:
    """The error as one of a service or the disk, if that is what it is; None for a bug."""
    study = type(error).__name__ == "StorageInternalError"  # Optuna's, which need not have been imported
    disk = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
    if isinstance(error, ServiceUnavailable):
        return error
    if not (study or disk or is_passing(error)):
        return None
    return ServiceUnavailable(f"a store failed in mid-run: {say_why(error)}; run again once it is back")


def signature(inputs: pd.DataFrame, outputs: pd.DataFrame | None = None) -> ModelSignature:
    """MLflow's signature of these frames, without its advice on whole numbers: ours never have missing values."""
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*integer column.*")
        return infer_signature(inputs, outputs)


def prefixed(prefix: str, scores: Scores) -> Scores:
    """`{"log_loss": 0.4}` -> `{"champion/log_loss": 0.4}`: MLflow groups metrics by what stands before the slash."""
    return {f"{prefix}/{name}": value for name, value in scores.items()}


def _metrics(values: Mapping[str, float], step: int, at: float | None = None) -> list[Any]:
    from mlflow.entities import Metric

    moment = int(1000 * (time.time() if at is None else at))
    return [Metric(name, float(value), moment, step) for name, value in values.items() if math.isfinite(value)]


def this_machine() -> str:
    """This machine, since this boot and in this container only: a pid means nothing elsewhere."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _process_started() -> str:
    """The process's start in clock ticks since boot: with the pid it names a process for good. Source: proc(5), field 22."""
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
