"""A blend: the mean of a few models' answers. Nothing to search: a search makes one of its best trials (tuning.average).

Its members read the same matrix. What they get wrong differs more than what they get right, so the mean is better than
its members are; after Caruana et al., Ensemble Selection from Libraries of Models, ICML 2004.
"""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tasks.models.families import Family
from tasks.models.model import Fitting, Matrix, Model, Native
from tasks.plans import Encoding
from tasks.records import Floats, Hyperparameters
from tasks.settings import Task
from tasks.spaces import Space

BOOSTED = ("lightgbm", "xgboost")
"""Families that can be fitted in several threads of one process; TensorFlow and joblib keep their threads for themselves."""


class Blend(Model):
    """Settings of a blend; each member has its own family and hyperparameters."""

    family: Literal["blend"]
    members: Annotated[tuple[Family, ...], Field(min_length=2)]
    """The models whose answers are averaged; all of one encoding."""

    encoding: ClassVar[Encoding] = "native"

    @model_validator(mode="after")
    def _members_read_alike(self) -> Self:
        if len({member.encoding for member in self.members}) > 1:
            raise ValueError("members must read the same kind of matrix; trees and the other families do not")
        for place, member in enumerate(self.members, 1):
            if member.rounds_name and member.rounds_name not in member.hyperparameters:
                raise ValueError(f"members.{place}.hyperparameters must have {member.rounds_name}: members do not stop early")
        return self

    @property
    def reads(self) -> Encoding:
        reads: Encoding = self.members[0].encoding
        return reads

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for member in self.members for name in member.requirements))

    @property
    def shown(self) -> Hyperparameters:
        return {f"{place}.{name}": value for place, member in enumerate(self.members, 1) for name, value in member.hyperparameters.items()}

    def parameters(self) -> frozenset[str]:
        return frozenset()

    def default_space(self, task: Task) -> Space:
        return {}

    def unfit_for(self, task: Task) -> str:
        return next(filter(None, (member.unfit_for(task) for member in self.members)), "")

    def prepare(self, train: Matrix, valid: Matrix | None, fitting: Fitting) -> list[Any]:
        """Each member's own: they are fitted side by side, and no library says that what it prepared may be shared then."""
        return self._side_by_side(lambda member, _, share: member.prepare(train, valid, share), self.members, fitting)

    def fit(self, prepared: list[Any], fitting: Fitting) -> Native:
        """Two fits of one thread take less time than one of two threads after the other."""
        natives: list[Native] = self._side_by_side(lambda member, own, share: member.fit(own, share), prepared, fitting)
        gains = [
            native.importance / native.importance.sum() for native in natives if native.importance is not None and native.importance.sum()
        ]
        return Native(
            predict=lambda values: np.mean([native.predict(values) for native in natives], axis=0),
            save=lambda folder: self._save(natives, folder),
            importance=np.mean(gains, axis=0) if gains else None,
            size=sum(native.size or 0.0 for native in natives) or None,
        )

    def _side_by_side(self, work: Callable[[Any, Any, Fitting], Any], things: Sequence[Any], fitting: Fitting) -> list[Any]:
        """Do the work for each member, as many at once as there are threads, which they share out."""
        beside = min(len(self.members), fitting.threads) if all(member.family in BOOSTED for member in self.members) else 1
        share = replace(fitting, threads=fitting.threads // beside)
        with ThreadPoolExecutor(beside) as pool:
            return list(pool.map(lambda member, thing: work(member, thing, share), self.members, things))

    def _save(self, natives: list[Native], folder: Path) -> None:
        for place, (member, native) in enumerate(zip(self.members, natives, strict=True), 1):
            own = folder / f"{place}-{member.family}"
            own.mkdir()
            native.save(own)

    def sources(self) -> list[str]:
        """Each family's loader under a name of its own, `load_lightgbm`, and then the loader of them all."""
        texts: dict[str, None] = {}
        for member in self.members:
            *travelling, loader = member.sources()
            texts |= dict.fromkeys([*travelling, loader.replace("def load_native(", f"def load_{member.family}(", 1)])
        own = textwrap.dedent(inspect.getsource(type(self).load_native)).removeprefix("@staticmethod\n")
        return [*texts, own]

    @staticmethod
    def load_native(folder: str) -> Callable[[Floats], Floats]:
        members = sorted(
            (name for name in os.listdir(folder) if name.partition("-")[0].isdigit()), key=lambda name: int(name.partition("-")[0])
        )
        loaded = [globals()["load_" + name.partition("-")[2]](os.path.join(folder, name)) for name in members]
        return lambda values: np.mean([answers(values) for answers in loaded], axis=0)
