"""The model registry: the only package that reads and writes registered versions and their aliases."""

from tasks.registry.aliases import Move, await_review, make_champion, reject_version, repair_aliases
from tasks.registry.champions import SETTINGS_FILE, Prior, champion_at, champion_predictor, find_prior
from tasks.registry.saving import answer_of, save_model, to_serve
from tasks.registry.versions import (
    ALIAS,
    CHALLENGER,
    PREVIOUS,
    Entry,
    current_version,
    find_version,
    read_entry,
    register,
    verdict_tags,
    waits,
)

__all__ = [
    "ALIAS",
    "CHALLENGER",
    "PREVIOUS",
    "SETTINGS_FILE",
    "Entry",
    "Move",
    "Prior",
    "answer_of",
    "await_review",
    "champion_at",
    "champion_predictor",
    "current_version",
    "find_prior",
    "find_version",
    "make_champion",
    "read_entry",
    "register",
    "reject_version",
    "repair_aliases",
    "save_model",
    "to_serve",
    "verdict_tags",
    "waits",
]
