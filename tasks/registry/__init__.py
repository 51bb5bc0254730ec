"""The model registry: the only package that reads and writes registered versions and their aliases."""

from tasks.registry.aliases import promote
from tasks.registry.champions import SETTINGS_FILE, Prior, champion_predictor, find_prior
from tasks.registry.proving import prove_it_answers
from tasks.registry.saving import answer_of, save_model, to_serve
from tasks.registry.versions import ALIAS, current_version, find_version, register

__all__ = [
    "ALIAS",
    "SETTINGS_FILE",
    "Prior",
    "answer_of",
    "champion_predictor",
    "current_version",
    "find_prior",
    "find_version",
    "promote",
    "prove_it_answers",
    "register",
    "save_model",
    "to_serve",
]
