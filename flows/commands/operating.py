"""`evertune up | status`: everything that retrains need, on this machine, and what is going on."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from tasks.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from flows.services.children import Child
    from flows.services.claims import Claim, Claiming
    from flows.services.pages import Pages
    from tasks.homes import Home

LOOK_SECONDS = 0.5
TELL_SECONDS = 2.0
SLOT_SECONDS = 15.0
"""How long the first slots of new schedules are waited for, which the server works out every few seconds."""
OTHER_SECONDS = 120.0
"""How long another `evertune up` that is just starting is waited for."""
ELSEWHERE = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")


def add_commands(commands: Any) -> None:
    """Add these commands to the parser; each sets `command` to a function from the parsed options to an exit code."""
    _add(commands, up).add_argument(
        "configs", nargs="*", metavar="CONFIG", help="YAML files to run by their schedules; pages alone without"
    )
    _add(commands, status).add_argument("--json", action="store_true", help="as one JSON object")


def up(options: argparse.Namespace) -> int:
    """Serve Prefect's and MLflow's pages and run these configs by their schedules and by hand, until Ctrl-C."""
    from flows.services.claims import claim_pages
    from flows.services.stopping import Stopped
    from tasks.homes import Home

    configs = require_configs(options.configs)
    home, out = Home.from_environment(), sys.stdout
    tell_of_elsewhere(home, bool(configs), out)
    with claim_pages(home) as claiming:
        if claiming is None:
            return join(home, configs, out)
        try:
            serve(home, configs, claiming, out)
        except Stopped as stop:
            print("Ended.", file=out, flush=True)
            return stop.exit_code


def status(options: argparse.Namespace) -> int:
    """Show the servers, what runs and what comes next, and of every model the champion and the last verdict."""
    from flows.commands.standings import read_standing, show_standing

    found = read_standing()
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show_standing(found, sys.stdout)
    return 0


def require_configs(paths: Sequence[str]) -> list[Path]:
    """The files, each once and read. Raises ConfigError with every fault."""
    if not paths:
        return []
    from configs.reading import read_config

    configs, faults = list(dict.fromkeys(Path(path).absolute() for path in paths)), list[str]()
    for config in configs:
        try:
            read_config(config)
        except ConfigError as error:
            faults.extend(error.faults)
    if faults:
        raise ConfigError("\n".join(faults), tuple(faults))
    return configs


def tell_of_elsewhere(home: Home, deploying: bool, out: TextIO) -> None:
    """Say which servers the environment names. Raises ConfigError where configs were to run here all the same."""
    from flows.services.preflight import masked

    for variable in filter(os.environ.get, ELSEWHERE):
        where = masked(os.environ[variable])
        if deploying:
            raise ConfigError(
                f"{variable} is set, to {where}, but evertune up runs configs on servers of its own: deploy there with evertune deploy "
                f"and start workers there (prefect worker start --pool evertune), or unset {variable}"
            )
        print(f"{variable} is set: runs are recorded at {where}, these pages show {home.root}.", file=out)


def serve(home: Home, configs: Sequence[Path], claiming: Claiming, out: TextIO) -> NoReturn:
    """Servers, worker and deployments, until a signal. Raises Stopped, ServiceUnavailable when one of them ends by itself."""
    from flows.services.pages import open_pages
    from flows.services.stopping import stop_signals

    with stop_signals(), ExitStack() as stack:
        pages = stack.enter_context(open_pages(home, out))
        addresses = pages.prefect.address, pages.mlflow.address
        claiming.tell(*addresses, worker=bool(configs))
        print(pages, file=out, flush=True)
        children = [pages.prefect.child, pages.mlflow.child]
        if configs:
            children.append(start_worker(home, pages, stack))
            register_all(configs, f"{pages.prefect.address}/api")
            claiming.tell(*addresses, worker=True, configs=tuple(map(str, configs)))
            print(f"Ctrl-C ends all of it. Logs are in {home.logs}.", file=out, flush=True)
            tell_what_runs(pages.prefect.address, children, out)
        print("Ctrl-C ends both.", file=out, flush=True)
        while True:
            require_alive(children)
            time.sleep(LOOK_SECONDS)


def start_worker(home: Home, pages: Pages, stack: ExitStack) -> Child:
    """The worker, on the pages' server, which this process is a client of from now on. MLflow's server ends beside it, not after it."""
    from flows.services.servers import client_of
    from flows.services.workers import open_worker

    api_url = f"{pages.prefect.address}/api"
    stack.enter_context(client_of(home, api_url))
    worker = stack.enter_context(open_worker(home, api_url))
    stack.callback(pages.mlflow.child.ask_to_stop)
    return worker


def register_all(configs: Sequence[Path], api_url: str) -> list[str]:
    """What was done, a line each; what a library prints meanwhile goes to standard error."""
    from contextlib import redirect_stdout

    from flows.deploying.registering import register

    with redirect_stdout(sys.stderr):
        return register(configs, api_url)


def tell_what_runs(address: str, children: Sequence[Child], out: TextIO) -> NoReturn:
    """The deployments with their next slots, then every retrain's start and end. Raises ServiceUnavailable when a child has ended."""
    import httpx
    from prefect.client.orchestration import get_client

    from flows.commands.bulletins import Bulletins, say_deployed
    from flows.services.flow_runs import FlowRuns

    with get_client(sync_client=True) as client:
        runs = FlowRuns(client)
        bulletins, deadline, shown = Bulletins(runs, address, out), time.monotonic() + SLOT_SECONDS, False
        while True:
            require_alive(children)
            with suppress(httpx.HTTPError):  # a busy server; it is asked again, and one that has ended is reported above
                bulletins.tell()
                if not shown and (runs.slots_known() or time.monotonic() > deadline):
                    print(say_deployed(runs.deployed()), file=out, flush=True)
                    shown = True
            time.sleep(TELL_SECONDS)


def require_alive(children: Sequence[Child]) -> None:
    """Raises ServiceUnavailable when one of them has ended by itself."""
    for child in children:
        if not child.alive:
            raise child.failure(f"has ended by itself, with exit code {child.process.returncode}")


def join(home: Home, configs: Sequence[Path], out: TextIO) -> int:
    """Say where the other `evertune up` is, and have it run the configs that it does not know yet.

    Raises Conflict where it shows pages alone, ServiceUnavailable where it is not ready in time.
    """
    from flows.services.servers import client_of

    claim = await_claim(home, OTHER_SECONDS if configs else 0.0)
    print(already_there(claim, home), file=out, flush=True)
    new = [config for config in configs if claim is None or str(config) not in claim.configs]
    if not new:
        return 0
    if claim is None or not claim.prefect:
        raise Conflict(
            f"the other evertune up of {home.root} was not ready after {OTHER_SECONDS:.0f} seconds; see {home.logs}, and try again"
        )
    if not claim.worker:
        raise Conflict(
            f"the evertune up of {home.root} (process {claim.pid}) shows pages alone, it runs nothing; end it, then start this one again"
        )
    with client_of(home, f"{claim.prefect}/api"):
        done = register_all(new, f"{claim.prefect}/api")
    print("\n".join(["Registered with it:", *(f"  {line}" for line in done)]), file=out, flush=True)
    return 0


def await_claim(home: Home, seconds: float) -> Claim | None:
    """What the other one wrote down, once its servers answer or the time is over."""
    from flows.services.claims import current_claim

    deadline = time.monotonic() + seconds
    while not ((claim := current_claim(home)) and claim.prefect) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return claim


def already_there(claim: Claim | None, home: Home) -> str:
    """Where the other `evertune up` is."""
    if claim is None or not claim.prefect:
        return f"Another `evertune up` is starting for {home.root}."
    served = "".join(f"\n  runs    {config}" for config in claim.configs)
    return f"Already up since {claim.since}, as process {claim.pid}:\nPrefect   {claim.prefect}\nMLflow    {claim.mlflow}{served}"


def _add(commands: Any, command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    text = command.__doc__ or ""
    added: argparse.ArgumentParser = commands.add_parser(command.__name__, help=text.split(".")[0], description=text)
    added.set_defaults(command=command)
    return added
