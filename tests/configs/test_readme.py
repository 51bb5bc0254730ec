"""What the README shows can be copied: each of its YAML examples is a config, or a part of one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from configs.reading import read_config

README = Path(__file__).parents[2] / "README.md"
WHOLE = """\
name: churn
source: {kind: parquet, path: data/customers}
target: churned
time: snapshot_day
"""
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_there_are_examples() -> None:
    assert EXAMPLES[0] == WHOLE
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_read_without_a_fault(tmp_path: Path, example: str) -> None:
    path = tmp_path / "churn.yaml"
    path.write_text(example if example == WHOLE else WHOLE + example, encoding="utf-8")
    assert read_config(path).name == "churn"
