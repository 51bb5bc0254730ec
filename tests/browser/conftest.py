"""The browser that the tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.screenshots import ARGUMENTS, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window. One a module: between its start and its end no other event loop can run in this thread."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; pip install evertune[dev]")
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("there is no Chromium here; on Debian: apt-get install chromium")
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield started
        started.close()
