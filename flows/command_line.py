"""`evertune run | check | profile | schema`; the rest are in flows.commands. Each command imports the heavy libraries it needs."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from datetime import UTC, datetime
from importlib.metadata import version
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flows.commands import deploying, housekeeping, operating, predicting, reviewing
from flows.services.environment import EMBEDDED
from tasks.errors import ConfigError, EvertuneError

if TYPE_CHECKING:
    from tasks.homes import Home
    from tasks.records import Result

EXIT_CODES = """exit codes: 0 done (promoted, kept, ask, unchanged, dry_run: the summary says which), 2 usage or config, 3 data rejected,
4 tuning or training failed, 5 somebody else changed the registry, 75 a service or the disk, 1 a bug of ours, 130/143 signals"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Nothing but results goes to standard output."""
    options = _parser().parse_args(arguments)
    for name, value in EMBEDDED.items():
        os.environ.setdefault(name, value)
    _log_to_the_terminal()
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = ask_again
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except EvertuneError as error:
        if getattr(options, "json", False):
            print(json.dumps(error.summary or {"verdict": error.verdict, "reason": str(error)}, indent=2, default=str))
        print(f"evertune: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("evertune: interrupted", file=sys.stderr)
        return 130


def run(options: argparse.Namespace) -> int:
    """One retrain. Prefect's own server is started first and waited for last: it takes its time while we import and read."""
    gc.disable()  # while modules are imported it finds nothing, and takes a fifth of the time to look
    from flows.services.preflight import check_services
    from flows.services.servers import embedded_prefect
    from tasks.homes import Home

    home = Home.from_environment()
    check_services()
    with nullcontext() if os.environ.get("PREFECT_API_URL") else embedded_prefect(home) as server:
        overrides = _overrides(options)
        _get_ready(home, options.config, overrides)
        gc.freeze()
        gc.enable()
        if server is not None:
            server.wait()
        with redirect_stdout(sys.stderr):  # whatever a library or a user's source function prints
            result = _retrain(options, overrides)
    print(result.to_json() if options.json else result)
    return 0


def _retrain(options: argparse.Namespace, overrides: dict[str, Any]) -> Result:
    """The flow's result. It stands where Prefect's server is gone by the time that the flow ends: it is in MLflow and the registry."""
    import httpx

    from flows.retrain import retrain
    from flows.retraining.outcomes import last_outcome
    from flows.services.servers import drop_events
    from tasks.settings.operation.schedules import LONGEST_NOTE

    if len(options.note) > LONGEST_NOTE:
        raise ConfigError(f"--note must be at most {LONGEST_NOTE:,} characters, got {len(options.note):,}")
    wishes = {"promote": options.promote, "note": options.note, "dry_run": options.dry_run, "force": options.force}
    try:
        return cast("Result", retrain(str(options.config), as_of=options.as_of, overrides=overrides, **wishes))
    except httpx.HTTPError as error:  # it does not answer, or with an error of its own
        drop_events()
        outcome = last_outcome()
        if outcome is None:
            raise
        logging.getLogger("evertune").warning("Prefect's server is gone (%s): its page of this retrain ends before its end", error)
        if isinstance(outcome, EvertuneError):
            raise outcome from None
        return outcome


def _get_ready(home: Home, config: str, overrides: dict[str, Any]) -> None:
    """What a run needs anyway, done while Prefect's server starts: the config read, the tracker asked, libraries imported."""
    from configs.reading import read_config

    name = read_config(config, overrides).name
    from tasks.tracking import connect

    connect(home, name)
    import great_expectations  # noqa: F401

    try:
        import lightgbm  # noqa: F401
    except OSError as error:
        advice = "on Debian and Ubuntu: sudo apt-get install libgomp1; on Fedora: sudo dnf install libgomp"
        raise ConfigError(f"LightGBM misses a system library ({error}); {advice}") from error

    import flows.retrain  # noqa: F401


def check(options: argparse.Namespace) -> int:
    """Look at config and data, print the plan, train nothing."""
    from flows.commands.checking import describe_plan

    print(describe_plan(options.config, _overrides(options), options.as_of or datetime.now(UTC)))
    return 0


def profile(options: argparse.Namespace) -> int:
    """Propose expectations from the data, as YAML for the config."""
    from flows.commands.checking import propose_suite

    print(propose_suite(options.config, _overrides(options), options.as_of or datetime.now(UTC)))
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the JSON Schema of a config, for editors."""
    from configs.schema import json_schema

    print(json_schema(), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evertune", description="Retrain a model on a schedule, re-tuned every time.", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"evertune {version('evertune')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (run, check, profile):
        added = _add(commands, command)
        added.add_argument("config", help="a YAML file, such as configs/flights.yaml")
        added.add_argument(
            "--as-of", type=_instant, metavar="DATE", help="the instant to stand at, such as 2013-10-01 (UTC); now when left out"
        )
        added.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting, such as tuning.trials=20")
        added.add_argument("--tune", choices=("always", "never", "auto"), help="whether to tune, instead of what the config says")
        if command is run:
            added.add_argument("--json", action="store_true", help="the summary as one JSON object, alone on standard output")
            added.add_argument("--promote", choices=("auto", "ask", "never"), default="auto", help="what may become of a good candidate")
            added.add_argument("--note", default="", metavar="TEXT", help="why you start this; kept with the run")
            added.add_argument("--dry-run", action="store_true", help="do everything but register")
            added.add_argument("--force", action="store_true", help="train even if neither data nor config are new")
    _add(commands, schema)
    for module in (operating, deploying, reviewing, predicting, housekeeping):
        module.add_commands(commands)
    return parser


def _add(commands: Any, command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    text = (command.__doc__ or "").strip()
    added: argparse.ArgumentParser = commands.add_parser(command.__name__, help=text.split(".")[0], description=text)
    added.set_defaults(command=command)
    return added


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2013-10-01 or 2013-10-01T06:00+00:00") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    from configs.reading import parse_override, refuse_secrets

    chosen = dict(parse_override(text) for text in options.set)
    if len(chosen) < len(options.set):
        raise ConfigError("--set: the same key is given twice")
    refuse_secrets(chosen, "--set")
    return {**chosen, **({"tuning.when": options.tune} if options.tune else {})}


def _log_to_the_terminal() -> None:
    """Evertune's own lines on standard error, beside Prefect's, which are sent to its server."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("evertune")
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    logger.propagate = False


def ask_again(dropped: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised while it clears an object away; what a signal raised just then is raised again a moment later."""
    number = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(dropped.exc_type)
    if number is None:
        sys.__unraisablehook__(dropped)
    else:
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM ends like an exception, so that every run is closed and every child ended on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
