"""Provenance: the resolved config and the code that a retrain ran with, fit to be kept with its run."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import version
from typing import Any

import yaml

from configs.schema import RetrainConfig
from tasks.sources.source import mask

SECRET = re.compile(r"password|passwd|secret|token|credential|api_?key", re.IGNORECASE)


def resolved(config: RetrainConfig) -> str:
    """The whole config as YAML, defaults and overrides in place, secrets masked."""
    return mask(yaml.safe_dump(_without_secrets(config.model_dump(mode="json", exclude_none=True)), sort_keys=False))


def config_of(run_id: str) -> RetrainConfig:
    """The config that a retrain ran with, read back from its MLflow run; secrets are masked. Raises what MLflow, YAML or pydantic raise."""
    import mlflow.artifacts

    return RetrainConfig.model_validate(yaml.safe_load(mlflow.artifacts.load_text(f"runs:/{run_id}/config.yaml")))


def code_version() -> str:
    """Evertune's version, and the commit of the working directory when it is a checkout."""
    try:
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=5, check=True)  # noqa: S607
    except (OSError, subprocess.SubprocessError):
        return f"evertune {version('evertune')}"
    return f"evertune {version('evertune')}, {commit.stdout.strip()}"


def _without_secrets(settings: Any) -> Any:
    """Values under a key that says it holds a secret are not shown; one that ends in _env names the variable that does."""
    if not isinstance(settings, dict):
        return settings
    return {
        key: "***" if SECRET.search(str(key)) and not str(key).endswith("_env") and isinstance(value, str) else _without_secrets(value)
        for key, value in settings.items()
    }
