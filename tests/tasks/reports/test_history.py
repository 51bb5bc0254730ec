"""What retrains have in common is told from what their runs wrote down, and nothing is made of what they did not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tasks.reporting import write_report
from tasks.reports.chapters.retrains import tell_retrains
from tasks.reports.history import AtEdge, PastSearch, memory_wins, never_mattered, often_at_edge, past_of, read_past, share_until_best
from tests import stories
from tests.reading import rows_of
from tests.searches import make_memory, make_search


def past(**fields: Any) -> PastSearch:
    return PastSearch("2013-09-01", settings={"rate": 0.3, "leaves": 7}, **fields)


def test_a_memory_written_down_reads_like_the_search_it_came_from() -> None:
    search = make_search(40)
    assert search.best is not None
    read = read_past(json.loads(json.dumps(make_memory("2013-09-01", 40))))
    own = past_of(replace(search, chosen=search.best), "2013-09-01")
    assert read == replace(own, origin="search")


@pytest.mark.parametrize(
    "content", [{}, {"as_of": "2013", "finalists": 3}, {"as_of": "2013", "trials": "many"}, {"as_of": "2013", "seconds": "long"}]
)
def test_a_memory_that_makes_no_sense_is_left_out(content: dict[str, Any]) -> None:
    assert read_past(content) is None


def test_a_memory_of_almost_nothing_is_read() -> None:
    assert read_past({"as_of": "2013-09-01", "finalists": []}) == PastSearch("2013-09-01")


def test_a_value_at_the_same_end_in_half_of_the_retrains_or_more_is_told() -> None:
    upper, lower = past(edges={"rate": "upper"}), past(edges={"rate": "lower", "leaves": "lower"})
    assert often_at_edge([upper, upper, past()]) == [AtEdge("rate", "upper", 2, 3)]
    assert often_at_edge([upper, lower]) == []
    assert often_at_edge([upper, upper, past(), past(), past()]) == []
    assert often_at_edge([lower, lower, lower]) == [AtEdge("leaves", "lower", 3, 3), AtEdge("rate", "lower", 3, 3)]


def test_a_parameter_never_mattered_only_if_it_was_slight_at_each_of_several_retrains() -> None:
    slight, more = past(importance={"rate": 0.99, "leaves": 0.01}), past(importance={"rate": 0.97, "leaves": 0.03})
    assert never_mattered([slight, slight, past()]) == ["leaves"]
    assert never_mattered([slight, more]) == []
    assert never_mattered([slight]) == []


def test_memory_wins_are_counted_among_the_retrains_that_had_one() -> None:
    mine = [past(origin=origin) for origin in ("search", "retrain of 2013-08-01", "defaults", "retrain of 2013-09-01")]
    assert memory_wins(mine) == (2, 3)
    assert memory_wins([]) == (0, 0)


def test_the_time_to_the_best_is_a_share_of_the_search_where_both_are_known() -> None:
    assert share_until_best(past(seconds=60.0, seconds_to_best=15.0)) == 0.25
    assert share_until_best(past(seconds=60.0)) is None
    assert share_until_best(past(seconds_to_best=15.0)) is None


def test_the_chapter_tells_the_last_eight_retrains_the_newest_first() -> None:
    earlier = tuple(make_memory(f"2013-{month:02d}-01", 30, 0, learning_rate=0.3) for month in range(1, 10))
    story = replace(stories.promoted(), search=make_search(40), earlier=earlier, past=())
    markdown = write_report(story).markdown
    rows = rows_of(markdown, "As of")
    assert len(rows) == 8
    assert (rows[0][0], rows[-1][0]) == ("1 October 2013", "1 March 2013")
    assert rows_of(markdown, "Parameter")[0][:3] == ["learning_rate", "the upper end", "7 of 8"]
    assert "A setting of an earlier retrain was chosen in 0 of 7 retrains that had one to start from." in markdown


def test_a_single_retrain_has_nothing_in_common_with_others() -> None:
    story = replace(stories.promoted(), past=())
    assert tell_retrains(replace(story, search=make_search(10))) is None
    assert tell_retrains(replace(story, search=None, earlier=({"nothing": 1}, {}))) is None


def test_a_retrain_that_did_not_tune_still_tells_of_those_that_did() -> None:
    story = replace(stories.kept(), earlier=(make_memory("2013-08-01"), make_memory("2013-09-01", best=1)))
    assert "in 1 of 1 retrain that had one" in write_report(story).markdown
