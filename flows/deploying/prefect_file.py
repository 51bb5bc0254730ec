"""deploy/prefect.yaml: the plan as Prefect's own command reads it. It names no folder of this machine, and holds no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flows.deploying.plans import Deployment, Plan
from tasks.errors import ConfigError

FILE = "deploy/prefect.yaml"
HEAD = f"""\
# Written by `evertune deploy` from the section `operation` of the configs; change it there.
# The same by Prefect's own command, from the project's folder:
#   prefect work-pool create {{pool}} --type process     (once)
#   prefect --no-prompt deploy --prefect-file {FILE} --all
# Prefect keeps everything in here in clear text: never a secret. Automations are registered by `evertune deploy` alone.
"""


def write_file(plan: Plan) -> Path:
    """Write it below the plan's root; returns where. Raises ConfigError for a config outside the root, which no other machine has."""
    for deployment in plan.deployments:
        if Path(deployment.parameters.get("config", "")).is_absolute():
            raise ConfigError(f"{deployment.parameters['config']}: must lie below {plan.root}, where the deployments' runs begin")
    path = plan.root / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(render_file(plan), encoding="utf-8")
    return path


def render_file(plan: Plan) -> str:
    """Its text."""
    content = {
        "name": "evertune",
        "pull": [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ checkout.folder }}"}}],
        "deployments": [_entry(deployment, plan.pool) for deployment in plan.deployments],
    }
    return HEAD.format(pool=plan.pool) + yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True)


def _entry(deployment: Deployment, pool: str) -> dict[str, Any]:
    slugs = [schedule["slug"] for schedule in deployment.schedules]
    step = {"id": "checkout", "deployment": deployment.full_name, "schedules": slugs}
    return {
        "name": deployment.name,
        "version": "{{ checkout.version }}",
        "tags": list(deployment.tags),
        "description": deployment.description,
        "entrypoint": deployment.entrypoint,
        "parameters": deployment.parameters,
        "enforce_parameter_schema": True,
        "schedules": [dict(schedule) for schedule in deployment.schedules],
        "build": [{"flows.deploying.checkouts.prepare": step}],
        "work_pool": {"name": pool, "job_variables": deployment.job_variables},
    }
