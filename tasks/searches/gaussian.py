"""A Gaussian process for Optuna, from scikit-optimize: Optuna's own needs torch.

It sees every parameter of the space in every trial; one that was not active counts as standing at the middle of its range.
Running trials count as bad as the worst one known (constant liar), and so do trials that failed or were pruned.
"""

from __future__ import annotations

import math
import statistics
import warnings
from typing import TYPE_CHECKING, Any

from tasks.spaces import Space, distributions, is_fixed

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial


def gaussian_sampler(seed: int, space: Space, startup: int) -> BaseSampler:
    """A sampler for studies over this space; the first `startup` trials are drawn at random."""
    from optuna.samplers import BaseSampler, RandomSampler
    from optuna.trial import TrialState

    searched = distributions({name: parameter for name, parameter in space.items() if not is_fixed(parameter)})

    class GaussianSampler(BaseSampler):
        """Optuna is imported late, so its subclass is made late."""

        def __init__(self) -> None:
            self._random = RandomSampler(seed=seed)

        def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, BaseDistribution]:
            return searched

        def sample_relative(self, study: Any, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
            known = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number and other.params]
            finished = [other for other in known if other.state == TrialState.COMPLETE]
            if len(known) < startup or not finished:
                return {}
            return propose(search_space, known, seed + trial.number)

        def sample_independent(self, study: Any, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
            return self._random.sample_independent(study, trial, name, distribution)

    return GaussianSampler()


def propose(searched: dict[str, BaseDistribution], known: list[FrozenTrial], seed: int) -> dict[str, Any]:
    """The settings with the greatest expected improvement over the best trial that finished."""
    import threadpoolctl  # type: ignore[import-untyped]
    from skopt import Optimizer

    values = [trial.value for trial in known if trial.state.name == "COMPLETE" and trial.value is not None]
    worst = max(values)
    losses = [trial.value if trial.state.name == "COMPLETE" and trial.value is not None else worst for trial in known]
    # one thread: the matrices are small, and the other cores are fitting models
    with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
        # a fit that converges badly, or a point asked for twice, is no news: the next trial is a proposal, not a result
        warnings.simplefilter("ignore")
        optimizer = Optimizer(
            [_dimension(distribution) for distribution in searched.values()],
            base_estimator="GP",
            n_initial_points=0,
            acq_func="EI",
            acq_optimizer_kwargs={"n_points": 2000, "n_restarts_optimizer": 2},
            random_state=seed % 2**32,
        )
        optimizer.tell([_point(searched, trial) for trial in known], _standardised(losses))
        asked = optimizer.ask()
    return {name: _external(distribution, value) for (name, distribution), value in zip(searched.items(), asked, strict=True)}


def _dimension(distribution: Any) -> Any:
    """Places of choices and of steps rather than the values themselves: all that skopt has to tell apart is numbers and names."""
    from optuna.distributions import CategoricalDistribution
    from skopt.space import Categorical, Integer, Real

    if isinstance(distribution, CategoricalDistribution):
        return Categorical([str(place) for place in range(len(distribution.choices))])
    if distribution.step is not None and not distribution.log:
        return Integer(0, round((distribution.high - distribution.low) / distribution.step))
    prior = "log-uniform" if distribution.log else "uniform"
    return (Integer if isinstance(distribution.low, int) else Real)(distribution.low, distribution.high, prior=prior)


def _point(searched: dict[str, BaseDistribution], trial: FrozenTrial) -> list[Any]:
    return [_internal(distribution, trial.params.get(name)) for name, distribution in searched.items()]


def _internal(distribution: Any, value: Any) -> Any:
    """A value as its dimension has it; the middle of the range for a parameter that was not active."""
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        return str(0 if value is None or value not in distribution.choices else distribution.choices.index(value))
    low, high = distribution.low, distribution.high
    if value is None:
        value = math.sqrt(low * high) if distribution.log else (low + high) / 2
    value = min(max(value, low), high)  # settings of an earlier retrain may lie beyond
    if distribution.step is not None and not distribution.log:
        return round((value - low) / distribution.step)
    return round(value) if isinstance(low, int) else float(value)


def _external(distribution: Any, value: Any) -> Any:
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(value)]
    if distribution.step is not None and not distribution.log:
        value = distribution.low + int(value) * distribution.step
    value = min(max(value, distribution.low), distribution.high)
    return int(value) if isinstance(distribution.low, int) else float(value)


def _standardised(losses: list[float]) -> list[float]:
    """Mean 0, standard deviation 1: the process's own priors are made for that."""
    spread = statistics.pstdev(losses) or 1.0
    middle = statistics.fmean(losses)
    return [(loss - middle) / spread for loss in losses]
