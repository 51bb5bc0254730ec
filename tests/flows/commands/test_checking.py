"""The plan in words, without the command line around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.commands.checking import describe_plan, propose_suite
from tasks.errors import ConfigError
from tests.small import at_day, small_config, small_table

AS_OF = at_day(100)


def plan(folder: Path, expectations: list[dict[str, Any]], **changes: Any) -> dict[str, str]:
    """Its lines by their first word."""
    config = small_config(folder, validation={"min_rows": 50, "expectations": expectations}, **changes)
    lines = describe_plan(str(config), {}, AS_OF).splitlines()
    return {name: text for name, _, text in (line.partition(" ") for line in lines)}


def below(most: float, policy: str) -> dict[str, Any]:
    return {"type": "expect_column_values_to_be_between", "column": "price", "max_value": most, "policy": policy}


def test_dropping_by_what_judges_no_row_is_said_before_anything_is_read(tmp_path: Path) -> None:
    wrong = {"type": "expect_column_mean_to_be_between", "column": "price", "max_value": 1, "policy": "drop"}
    config = small_config(tmp_path, validation={"expectations": [below(9, "drop"), wrong]})
    (tmp_path / "table.csv").unlink()
    with pytest.raises(ConfigError, match=r"validation\.expectations\[1\]\.policy: drop leaves rows out"):
        describe_plan(str(config), {}, AS_OF)


def test_rows_left_out_are_counted_and_what_forbids_a_promotion_is_told(tmp_path: Path) -> None:
    highest = small_table(100)["price"].nlargest(4).tolist()
    told = plan(tmp_path, [below((highest[2] + highest[3]) / 2, "drop"), below(0, "forbid")])
    assert ", 3 left out by policy)" in told["rows"]
    assert "no model of these rows may go live: price: expect_column_values_to_be_between (max_value 0) failed: " in told["forbids"]
    assert "forbids" not in plan(tmp_path / "other", [below(99, "forbid")])


@pytest.mark.parametrize(("rule", "words"), [("non_inferior", "worse by less than 5.0 % than"), ("superior", "better than")])
def test_what_promotes_is_told(rule: str, words: str, tmp_path: Path) -> None:
    told = plan(tmp_path, [], gate={"min_rows": 20, "margin": 0.05, "rule": rule})
    assert (
        told["registry"].strip() == f"model shop; promoted if shown to be {words} the champion, 95 % sure; where the rows cannot tell: ask"
    )


def test_a_proposed_suite_holds_for_rows_without_a_label_too(tmp_path: Path) -> None:
    table = small_table(100).sample(frac=1, random_state=0)
    unknown = table["id"] % 5 == 0
    table = table.assign(sold=table["sold"].mask(unknown), price=table["price"].mask(unknown))
    config = str(small_config(tmp_path, table, validation={"min_rows": 50, "leakage": {"action": "off"}}))
    suite = yaml.safe_load(propose_suite(config, {}, AS_OF))
    assert ", 0 failed\n" in describe_plan(config, {"validation.expectations": suite}, AS_OF)


def test_a_proposed_suite_says_what_each_column_holds(tmp_path: Path) -> None:
    proposed = propose_suite(str(small_config(tmp_path)), {}, AS_OF)
    assert "    # shop: 3 distinct values\n" in proposed
    assert "value_set: [north, south, west]" in proposed
