"""A PostgreSQL server for all tests of sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import start_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of an empty database, `postgresql://reader:password@127.0.0.1:port/postgres`."""
    with start_server() as server:
        yield server.address
