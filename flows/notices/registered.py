"""What the registry knows of a version that a notice is about."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from threading import Thread

from configs.schema import RetrainConfig
from tasks.homes import Home
from tasks.registry import PREVIOUS
from tasks.registry.versions import DIGEST, read_entry
from tasks.tracking import connect


@dataclass(frozen=True)
class Registered:
    """`digest` of the version's files; `previous`: the champion that a rollback would bring back. None where there is none."""

    digest: str | None = None
    previous: str | None = None


def look_up(config: RetrainConfig, version: str, seconds: float) -> Registered:
    """Ask the registry, for so long at most. Raises TimeoutError, or whatever kept it from answering."""
    found: Future[Registered] = Future()

    def ask() -> None:
        try:
            found.set_result(_ask(config, version))
        except Exception as error:
            found.set_exception(error)

    Thread(target=ask, name="evertune-registered", daemon=True).start()
    try:
        return found.result(seconds)
    except Late:
        raise TimeoutError(f"the registry did not answer within {seconds:g} seconds") from None


def _ask(config: RetrainConfig, version: str) -> Registered:
    entry = read_entry(connect(Home.from_environment(), config.name), config.model_name)
    known = entry.find(version)
    return Registered(None if known is None else known.tags.get(DIGEST), entry.aliases.get(PREVIOUS))
