"""The store of studies: an Optuna database where trials that are over are kept, for a search that is gone on with.

The search itself runs on a study in memory, which proposes in milliseconds; a trial is written here once, when it is
over. What was running when a process died was never here, so it is simply run again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tasks.errors import ServiceUnavailable
from tasks.records import FoldScore, Trial

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

ENTRY = "trial"
"""The attribute that holds a trial whole, as JSON."""
STATES = {"finished": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}


@dataclass(frozen=True)
class Told:
    """A trial that is over, and Optuna's own record of it."""

    trial: Trial
    frozen: FrozenTrial


class Store:
    """One study in its database; made if missing. Raises ServiceUnavailable when the database does not answer."""

    def __init__(self, url: str, name: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._url, self.name = url, name
        self._storage: RDBStorage | None = None
        self._study = self._open()

    def past(self) -> list[Told]:
        """Trials that an earlier process of the same search finished or pruned, each once; what failed may work now, and is left out."""
        with _told():
            stored = self._study.get_trials(deepcopy=False)
        past = [
            Told(read_trial(frozen.user_attrs), frozen)
            for frozen in stored
            if frozen.state.name in ("COMPLETE", "PRUNED") and ENTRY in frozen.user_attrs
        ]
        return list({told.trial.number: told for told in past}.values())  # a connection that broke may have written one twice

    def add(self, told: Told) -> None:
        """Write one trial that is over. Raises ServiceUnavailable, after having opened the database anew once."""
        import optuna

        trial, frozen = told.trial, told.frozen
        bare = replace(trial, scores=tuple(replace(score, prediction=None) for score in trial.scores))
        written = optuna.trial.create_trial(
            state=optuna.trial.TrialState[STATES[trial.state]],
            value=frozen.value if trial.state == "finished" else None,
            params=frozen.params,
            distributions=frozen.distributions,
            user_attrs={ENTRY: json.dumps(asdict(bare))},
        )
        try:
            self._study.add_trial(written)
        except Exception:  # a server that was restarted left this connection dead
            self._study = self._open()
            with _told():
                self._study.add_trial(written)

    def close(self) -> None:
        """Leave the database's connections; the next call opens some again."""
        if self._storage is not None:
            self._storage.engine.dispose()

    def _open(self) -> Study:
        import optuna

        self.close()
        with _told():
            self._storage = optuna.storages.RDBStorage(self._url)
            return optuna.create_study(storage=self._storage, study_name=self.name, direction="minimize", load_if_exists=True)


def read_trial(attributes: dict[str, Any]) -> Trial:
    """A trial as `Store.add` wrote it."""
    told = json.loads(attributes[ENTRY])
    scores = tuple(_read_score(score) for score in told.pop("scores"))
    return Trial(**{**told, "fold_values": tuple(told["fold_values"]), "scores": scores})


def _read_score(told: dict[str, Any]) -> FoldScore:
    return FoldScore(**{**told, "blocks": tuple(told["blocks"]), "curve": tuple(map(tuple, told["curve"]))})


@contextmanager
def _told() -> Iterator[None]:
    """A database that does not answer is a service that is not there."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise ServiceUnavailable(f"the study store cannot be used: {str(error).splitlines()[0]}") from error
