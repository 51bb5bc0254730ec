"""The study: what is proposed, what a pruner is told, and that both hang on nothing but what was told."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import pytest

from tasks.metrics import METRICS
from tasks.models.recipes import Candidates, Recipe
from tasks.records import FoldScore, Trial
from tasks.searches import find_search
from tasks.settings import TuningSettings
from tasks.spaces import Categorical, Float, Space
from tasks.trials.stores import Told
from tasks.trials.studies import Proposal, Proposer
from tests.engine import QUICK

SPACE: Space = {"learning_rate": Float(low=0.01, high=0.3, log=True), "extra_trees": Categorical(choices=(True, False))}
BLOCKS = 16
FIXED = {name: parameter.default for name, parameter in QUICK.default_space("binary").items() if name not in SPACE}
CANDIDATES = Candidates(Recipe(QUICK.changed(hyperparameters=FIXED, space=SPACE)), "binary")


def proposer(seed: int = 0, window: bool = False, metric: str = "log_loss", **settings: Any) -> Proposer:
    chosen = TuningSettings(**{"trials": 50, "search": "tpe", **settings})
    method = find_search(chosen, CANDIDATES.space, 2)
    return Proposer(
        CANDIDATES, method.sampler(seed), method.pruner(), METRICS[metric], chosen.constraints, by_block=method.by_block, window=window
    )


def score(fold: int, *blocks: float) -> FoldScore:
    return FoldScore(fold, 1.0, sum(blocks) / len(blocks), blocks, 90)


def propose(asked: Proposer) -> Proposal:
    found = asked.propose()
    assert found is not None
    return found


def finish(asked: Proposer, proposal: Proposal, *values: float) -> Told:
    for fold, value in enumerate(values):
        asked.hopeless(proposal, score(fold, *[value + 0.01 * k for k in range(BLOCKS)]))
    mean = sum(values) / len(values)
    frozen = asked.tell(proposal, "finished", mean)
    return Told(Trial(proposal.number, "finished", {}, mean, values, 1.0, choices=proposal.choices, scores=tuple(proposal.scores)), frozen)


def test_numbers_go_up_by_one_and_start_after_those_of_an_earlier_process() -> None:
    first = proposer()
    told = [finish(first, propose(first), 0.5, 0.5) for _ in range(4)]
    assert [each.trial.number for each in told] == [0, 1, 2, 3]
    again = proposer(seed=1)
    for each in (told[0], told[3]):
        again.restore(each)
    assert propose(again).number == 4


def test_what_is_enqueued_is_proposed_first_and_says_where_it_came_from() -> None:
    asked = proposer()
    asked.enqueue("champion v1", {"learning_rate": 0.123, "extra_trees": False})
    asked.enqueue("portfolio", {"learning_rate": 0.2})
    first, second, third = (propose(asked) for _ in range(3))
    assert (first.origin, first.choices) == ("champion v1", {"learning_rate": 0.123, "extra_trees": False})
    assert (second.origin, second.choices["learning_rate"]) == ("portfolio", 0.2)
    assert third.origin == "search"


def test_a_trial_that_is_worse_on_every_block_is_hopeless_and_one_that_is_better_is_not() -> None:
    asked = proposer()
    finish(asked, propose(asked), 0.5, 0.5)
    blocks = [0.5 + 0.01 * k for k in range(BLOCKS)]
    assert asked.hopeless(propose(asked), score(0, *[value + 0.2 + 0.001 * k for k, value in enumerate(blocks)]))
    assert not asked.hopeless(propose(asked), score(0, *[value - 0.2 - 0.001 * k for k, value in enumerate(blocks)]))


def test_where_greater_is_better_hopeless_is_the_other_way_round() -> None:
    asked = proposer(metric="roc_auc")
    finish(asked, propose(asked), 0.7, 0.7)
    blocks = [0.7 + 0.01 * k for k in range(BLOCKS)]
    assert asked.hopeless(propose(asked), score(0, *[value - 0.2 - 0.001 * k for k, value in enumerate(blocks)]))
    assert not asked.hopeless(propose(asked), score(0, *[value + 0.1 + 0.001 * k for k, value in enumerate(blocks)]))


def test_before_any_trial_has_finished_nothing_is_hopeless() -> None:
    asked = proposer()
    assert not asked.hopeless(propose(asked), score(0, *[9.0 + k for k in range(BLOCKS)]))


def test_a_block_without_a_score_is_left_out() -> None:
    asked = proposer()
    finish(asked, propose(asked), 0.5, 0.5)
    bad = [9.0 + k for k in range(BLOCKS)]
    undefined = FoldScore(0, 1.0, 0.6, (*[float("nan")] * (BLOCKS - 1), 9.0), 90)
    assert not asked.hopeless(propose(asked), undefined)
    assert asked.hopeless(propose(asked), score(0, *bad))


def test_scores_that_tie_take_no_time_to_compare() -> None:
    """With few blocks and ties among them SciPy would try all signs."""
    for blocks in (8, 12, 13, 40):
        asked = proposer(metric="accuracy")
        first, second = propose(asked), propose(asked)
        for fold in (0, 1):
            asked.hopeless(first, score(fold, *[0.9] * blocks))
        asked.tell(first, "finished", -0.9)
        began = time.perf_counter()
        asked.hopeless(second, score(0, *[0.7 + 0.1 * (k % 2) for k in range(blocks)]))
        assert time.perf_counter() - began < 0.3


def test_with_a_window_a_proposal_hangs_on_what_was_told_before_it_alone() -> None:
    """Trials are told one by one, in the order of numbers; what happens in between changes nothing."""

    def run(early: bool) -> list[Any]:
        asked = proposer(window=True)
        under_way = [propose(asked) for _ in range(4)]
        seen = []
        for k in range(14):
            proposal = under_way.pop(0)
            if early and under_way:  # a later one's first fold comes in before this one is told
                asked.hopeless(under_way[0], score(0, *[0.4 + 0.01 * (k + 1) + 0.001 * j for j in range(BLOCKS)]))
            if not proposal.scores:
                asked.hopeless(proposal, score(0, *[0.4 + 0.01 * k + 0.001 * j for j in range(BLOCKS)]))
            asked.hopeless(proposal, score(1, *[0.4 + 0.01 * k + 0.001 * j for j in range(BLOCKS)]))
            asked.tell(proposal, "finished", 0.4 + 0.01 * k)
            under_way.append(propose(asked))
            seen.append((proposal.number, proposal.choices))
        return seen

    assert run(early=False) == run(early=True)


def test_proposals_that_break_a_constraint_are_drawn_again() -> None:
    asked = proposer(constraints=("learning_rate <= 0.05",), search="random")
    found = list(islice(iter(asked.propose, None), 30))
    assert [proposal.number for proposal in found] == list(range(30))
    assert all(float(proposal.choices["learning_rate"]) <= 0.05 for proposal in found)


def test_constraints_that_leave_nothing_end_the_proposals_and_say_so() -> None:
    asked = proposer(constraints=("learning_rate < 0.01",), search="random")
    assert asked.propose() is None
    assert asked.spent == "none of 200 draws satisfying the constraints"


@pytest.mark.parametrize("search", ["tpe", "random", "quasi_random", "cma_es"])
def test_the_same_seed_proposes_the_same(search: str) -> None:
    def run(seed: int) -> list[Any]:
        asked = proposer(seed, search=search)
        found = []
        for k in range(15):
            proposal = propose(asked)
            finish(asked, proposal, 0.5 - 0.01 * k, 0.5)
            found.append(proposal.choices)
        return found

    assert run(3) == run(3)
    assert run(3) != run(4)
