"""`evertune deploy`: the configs' deployments, in Prefect and in deploy/prefect.yaml."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from tasks.errors import ConfigError

POOL = "evertune"


def add_commands(commands: Any) -> None:
    """Add the command to the parser; it sets `command` to a function from the parsed options to an exit code."""
    text = deploy.__doc__ or ""
    added = commands.add_parser("deploy", help=text.split(".")[0], description=text)
    added.set_defaults(command=deploy)
    added.add_argument(
        "configs", nargs="*", type=Path, metavar="CONFIG", help="YAML files; every configs/*.yaml with `operation` when left out"
    )
    added.add_argument("--pool", default=POOL, metavar="NAME", help=f"the work pool that runs them ({POOL}); made if it is not there")
    added.add_argument("--dry-run", action="store_true", help="only show what deploy/prefect.yaml would be")
    added.add_argument("--json", action="store_true", help="as one JSON object")


def deploy(options: argparse.Namespace) -> int:
    """Write deploy/prefect.yaml and register what is in it with Prefect: schedules, the quick look by hand, watchers, the reconciler."""
    from flows.deploying.plans import plan_deployments
    from flows.deploying.prefect_file import render_file, write_file

    plan = plan_deployments(options.configs or _configs_with_operation(Path("configs")), Path.cwd(), options.pool)
    names = [deployment.full_name for deployment in plan.deployments]
    if options.dry_run:
        print(json.dumps({"deployments": names, "done": []}, indent=2) if options.json else render_file(plan))
        return 0
    api_url = _api_url()
    file = write_file(plan)
    from flows.deploying.registering import register_plan
    from tasks.sources.source import mask

    done = register_plan(plan, api_url)
    if options.json:
        print(json.dumps({"api": mask(api_url), "file": str(file), "deployments": names, "done": done}, indent=2))
    else:
        print("\n".join([f"{file.relative_to(plan.root)}: written", *done]))
        print(f"  runs  prefect worker start --pool {plan.pool}, unless `evertune up` or another worker does")
    return 0


def _configs_with_operation(folder: Path) -> list[Path]:
    """Those configs that say something about operation. Raises ConfigError when none does."""
    from configs.strict_yaml import parse_yaml

    found = []
    for path in sorted(folder.glob("*.yaml")):
        content = parse_yaml(path.read_text(encoding="utf-8-sig"), str(path))
        if isinstance(content, dict) and content.get("operation"):
            found.append(path)
    if not found:
        raise ConfigError(
            f"no file {folder}/*.yaml has a section operation; add one, or name the configs: evertune deploy {folder}/NAME.yaml"
        )
    return found


def _api_url() -> str:
    """The server that the environment names, else that of `evertune up` for this home. Raises ConfigError."""
    from flows.services.servers import server_of_pages
    from tasks.homes import Home

    given = os.environ.get("PREFECT_API_URL")
    if given:
        return given
    server = server_of_pages(Home.from_environment())
    if server is None:
        raise ConfigError(
            "there is no Prefect server to deploy to: start `evertune up`, or set PREFECT_API_URL, such as http://host:4200/api"
        )
    return server.api_url
