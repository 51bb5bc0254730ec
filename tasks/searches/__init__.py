"""Search methods: how trials are proposed, and which of them are not worth going on with."""

from tasks.searches.costs import describe_grid, say_limits, search_faults
from tasks.searches.methods import METHODS, Method, find_search

__all__ = ["METHODS", "Method", "describe_grid", "find_search", "say_limits", "search_faults"]
