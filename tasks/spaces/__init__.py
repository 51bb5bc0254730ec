"""What a search may choose from: parameters with their conditions and constraints, as written in the YAML under `space`."""

from tasks.spaces.conditions import check_conditions, ordered, settle
from tasks.spaces.constraints import broken, check_constraints
from tasks.spaces.grids import combinations, grid, grid_size, walk
from tasks.spaces.migrations import fit_value
from tasks.spaces.parameters import Categorical, Float, Int, Parameter, Space, defaults, describe, is_active, is_fixed, say_value
from tasks.spaces.proposals import distributions, draw, external, internal, suggest

__all__ = [
    "Categorical",
    "Float",
    "Int",
    "Parameter",
    "Space",
    "broken",
    "check_conditions",
    "check_constraints",
    "combinations",
    "defaults",
    "describe",
    "distributions",
    "draw",
    "external",
    "fit_value",
    "grid",
    "grid_size",
    "internal",
    "is_active",
    "is_fixed",
    "ordered",
    "say_value",
    "settle",
    "suggest",
    "walk",
]
