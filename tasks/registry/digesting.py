"""Digests of registered models: what their files hold, checked before any of it is loaded, since to load a model is to run code.

Files are always checked in a private copy, and loaded from that copy: what was checked is what runs, and what Python or
MLflow leave beside a model in a local artifact store (byte-code, above all) is never looked at.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import Conflict, ServiceUnavailable
from tasks.executors.scratch import Scratch
from tasks.homes import DEFAULT, VARIABLE, Home
from tasks.patience import outage_of
from tasks.sources.source import mask
from tasks.wording import clean

MANIFEST = "evertune.files"
"""In the metadata of MLflow's MLmodel: the digest of each file that we wrote, by its path in the artifact."""
DESCRIPTION = "MLmodel"
NOTE = "registered_model_meta"
"""What MLflow adds to a model that it reads from the registry: part of no copy, and of no digest."""
COMPILED = "__pycache__"
"""Byte-code that Python writes beside a source, and would run instead of it: part of no copy either."""
SWITCH = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
SHOWN = 12


def load_verified(uri: str, expected: str) -> Any:
    """The registered model itself (a `ServedModel` of `tasks.serving`), once its files were checked. It reads no pickle.

    Raises what `verified_copy` raises, Conflict for a model that Evertune did not save, and whatever loading raises.
    """
    import mlflow.pyfunc

    with verified_copy(uri, expected) as folder, _without_pickle():
        loaded = mlflow.pyfunc.load_model(str(folder))
        served = loaded.unwrap_python_model()
    if not hasattr(served, "plan"):
        raise Conflict(f"{uri} was not saved by Evertune: it holds no plan of its columns")
    return served


@contextmanager
def verified_copy(uri: str, expected: str) -> Iterator[Path]:
    """A private copy of a model's files, gone when the body ends, whose digest is the expected one.

    Raises Conflict when a file was changed, came or went, when there is no digest to expect, and when the model is gone;
    ServiceUnavailable when the artifact store does not answer. Nothing of the model is loaded before.
    """
    with fetched(uri) as folder:
        found = model_digest(folder)
        if not expected:
            raise Conflict(
                f"{uri} was registered without a digest (version tag evertune.digest), so nobody can tell whether its files were "
                f"changed, and nothing of it was loaded; retrain, or, if you trust the files as they are, set the tag to {found}"
            )
        if found != expected:
            differing = changed_files(folder)
            which = f"; changed: {', '.join(differing)}" if differing else ""
            raise Conflict(
                f"the files of {uri} are not those that were registered (digest {found[:SHOWN]}, registered as {expected[:SHOWN]}{which}); "
                "nothing of it was loaded; restore them from a backup, or point the alias at another version"
            )
        yield folder


def verify_digest(uri: str, expected: str) -> None:
    """Only look whether a model's files are those that were registered. Raises what `verified_copy` raises."""
    with verified_copy(uri, expected):
        return


@contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """A private copy of a model's files as the artifact store has them now, unchecked. Raises Conflict, ServiceUnavailable."""
    import mlflow
    from mlflow.exceptions import MlflowException

    with private_folder() as folder:
        download = partial(mlflow.artifacts.download_artifacts, artifact_uri=uri, dst_path=str(folder))
        try:
            outage_of(mlflow.get_tracking_uri()).ask(download)
        except (MlflowException, OSError) as error:
            said = clean(mask(str(error)).partition("\n")[0])
            if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise Conflict(f"the model {uri} is gone ({said}); point the alias at another version") from error
            raise ServiceUnavailable(f"the files of {uri} cannot be read: {said}; run again once the artifact store is back") from error
        if not (folder / DESCRIPTION).is_file():
            raise Conflict(f"the files of {uri} are gone: its artifact store holds no {DESCRIPTION}; point the alias at another version")
        (folder / NOTE).unlink(missing_ok=True)
        for compiled in list(folder.rglob(COMPILED)):
            shutil.rmtree(compiled)
        yield folder


@contextmanager
def private_folder() -> Iterator[Path]:
    """An empty folder for us alone, gone when the body ends. What a killed process leaves in a home, the next one removes."""
    home = Home.named(os.environ.get(VARIABLE) or DEFAULT).root
    if not home.is_dir():  # models may be used where none is trained
        with tempfile.TemporaryDirectory(prefix="evertune-") as folder:
            yield Path(folder)
        return
    scratch = Scratch.open(home / "scratch")
    try:
        made = scratch.folder / "files"
        made.mkdir()
        yield made
    finally:
        scratch.close()


def model_digest(folder: Path) -> str:
    """sha256, in hex, over the sorted paths of all files and their contents; the same wherever the model is stored."""
    return hashlib.sha256(json.dumps(list(file_digests(folder).items())).encode()).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Path below the folder (with slashes) -> sha256 of the file, in order of the paths; what Python compiled is left out."""
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    kept = {str(path): full for path, full in found.items() if COMPILED not in path.parts}
    return {path: _hash(kept[path]) for path in sorted(kept)}


def changed_files(folder: Path) -> list[str]:
    """Files that are not what the model's own description says of them, as far as it can be read."""
    written = _manifest(folder)
    now = file_digests(folder)
    return sorted(path for path, digest in written.items() if now.get(path) != digest)


@contextmanager
def _without_pickle() -> Iterator[None]:
    """MLflow's own switch, as it was afterwards: a user's source function may want it otherwise."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def _manifest(folder: Path) -> dict[str, str]:
    try:
        described: Any = yaml.safe_load((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return {DESCRIPTION: ""}
    metadata = described.get("metadata") if isinstance(described, dict) else None
    written = metadata.get(MANIFEST) if isinstance(metadata, dict) else None
    return written if isinstance(written, dict) else {}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
