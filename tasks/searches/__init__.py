"""Search methods: how trials are proposed, and which of them are not worth going on with."""

from tasks.searches.costs import describe_grid, search_faults
from tasks.searches.methods import METHODS, Method, find_method

__all__ = ["METHODS", "Method", "describe_grid", "find_method", "search_faults"]


def find_search(name: str):  # type: ignore[no-untyped-def]  # until tasks.tuning asks find_method
    from functools import partial

    from tasks.searches.methods import _find_kind, _sample

    return partial(_sample, _find_kind("tpe" if name == "auto" else name), {})
