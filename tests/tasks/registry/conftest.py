"""Every test of the registry may have a shelf of versions."""

from tests.registered import shelf

__all__ = ["shelf"]
