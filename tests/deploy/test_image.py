"""deploy/Dockerfile: linted, not root, and made from a lock that agrees with the one that tests run on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PIN = re.compile(r"^([A-Za-z0-9_.-]+(?:\[[a-z]+\])?)==(\S+)", re.MULTILINE)


def pins(path: Path) -> dict[str, set[str]]:
    """Package -> its versions in a lock: for different Pythons, there may be several."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(path.read_text()):
        found.setdefault(name.partition("[")[0], set()).add(version)
    return found


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run([hadolint, "--failure-threshold", "style", ROOT / "deploy" / "Dockerfile"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_two_stages_of_one_version_and_a_user_by_number() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(stages) == 2
    assert len(set(stages)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", stages[0])
    assert DOCKERFILE.rindex("USER 10001:10001") > DOCKERFILE.rindex("FROM")
    assert "--require-hashes" in DOCKERFILE


def test_everything_that_is_copied_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
    assert sources - {"deploy"} <= let_in
    assert all((ROOT / name).exists() for name in sources)


def test_the_lock_holds_the_versions_that_tests_run_on() -> None:
    tested, shipped = pins(ROOT / "requirements.lock"), pins(ROOT / "deploy" / "image.lock")
    assert {name: versions for name, versions in shipped.items() if name in tested and not versions & tested[name]} == {}
    assert {"flask-wtf", "prefect-kubernetes", "distributed", "hatchling", "editables"} <= set(shipped)
    assert not {"mypy", "pytest", "ruff", "playwright"} & set(shipped)
