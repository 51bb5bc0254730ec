"""The services of deploy/compose.yaml as processes of this machine: their own commands and environments, other addresses."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from flows.services.children import healthy
from flows.services.servers import free_socket
from tests.postgres import PASSWORD, Server, start_server

ROOT = Path(__file__).parent.parent
COMPOSE, EXAMPLE = ROOT / "deploy" / "compose.yaml", ROOT / "deploy" / ".env.example"
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)(?P<kind>:[-?])?(?P<rest>[^}]*)\}")
SECRETS = {"POSTGRES_PASSWORD", "PREFECT_DB_PASSWORD", "MLFLOW_DB_PASSWORD", "STUDIES_DB_PASSWORD"} | {
    "PREFECT_PASSWORD", "MLFLOW_PASSWORD", "MLFLOW_SECRET_KEY"
}  # fmt: skip
INHERITED = ("PATH", "LANG", "COVERAGE_PROCESS_START")
"""All that a service gets beside what the file says: no PREFECT_, MLFLOW_ or EVERTUNE_ variable of the test's own."""


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}`, `${NAME:?refusal}` as Compose reads them. Raises KeyError for a refusal."""

    def replaced(found: re.Match[str]) -> str:
        given = values.get(found["name"], "")
        if not given and found["kind"] == ":?":
            raise KeyError(f"{found['name']}: {found['rest']}")
        return given or (found["rest"] if found["kind"] == ":-" else "")

    return VARIABLE.sub(replaced, text)


def read_services(values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Service name -> its section, merged and interpolated."""
    services: dict[str, dict[str, Any]] = yaml.safe_load(interpolate(COMPOSE.read_text(), values))["services"]
    return services


@dataclass
class Topology:
    """PostgreSQL and both servers, running; `start` adds a worker or runs any other service of the file."""

    folder: Path
    secrets: dict[str, str]
    database: Server
    prefect: str
    mlflow: str
    dask: str
    services: dict[str, dict[str, Any]]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    worker_ports: dict[str, str] = field(default_factory=dict)
    """Where each worker tells of its health: two on one machine cannot both have 8080."""

    def start(self, service: str, name: str = "", *more: str) -> subprocess.Popen[bytes]:
        """The service's command in its environment; what it prints goes to `<name or service>.log`."""
        program, *arguments = (self._local(word) for word in self.services[service]["command"])
        command = [str(Path(sys.executable).parent / program), *arguments, *more]
        environment = self.environment(service)
        self.worker_ports[name or service] = environment["PREFECT_WORKER_WEBSERVER_PORT"]
        with self.log(name or service).open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.running.append(process)
        return process

    def environment(self, service: str) -> dict[str, str]:
        """What the file gives the service, with the addresses of here, and what every process needs."""
        given = {name: self._local(str(value)) for name, value in self.services[service].get("environment", {}).items()}
        with free_socket() as free:
            needed = {"HOME": str(self.folder), "NO_PROXY": "*", "PREFECT_WORKER_WEBSERVER_PORT": str(free.getsockname()[1])}
        return {name: os.environ[name] for name in INHERITED if name in os.environ} | needed | given

    def well(self, service: str, name: str = "") -> bool:
        """What the service's own health check says."""
        _, *command = (self._local(word) for word in self.services[service]["healthcheck"]["test"])
        command = [word.replace("127.0.0.1:8080", f"127.0.0.1:{self.worker_ports.get(name or service)}") for word in command]
        programs = f"{Path(sys.executable).parent}:{self.database.program.parent}"
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "PGPORT": str(self.database.port), "NO_PROXY": "*"}
        return subprocess.run(command, env=environment, capture_output=True, timeout=30).returncode == 0

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def await_health(self, address: str, service: subprocess.Popen[bytes], seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not healthy(address):
            assert service.poll() is None, self.logs()[-4000:]
            assert time.monotonic() < deadline, self.logs()[-4000:]
            time.sleep(0.3)

    def _local(self, text: str) -> str:
        """A word of the file, about this machine instead of containers."""
        prefect, mlflow, dask = (address.partition(":")[2] for address in (self.prefect, self.mlflow, self.dask))
        postgres = str(self.database.port)
        whole = {
            "4200": prefect,
            "5432": postgres,
            "--port=5000": f"--port={mlflow}",
            "--port=8786": f"--port={dask}",
            "postgres": "127.0.0.1",
            "0.0.0.0": "127.0.0.1",
        }
        parts = {
            "prefect:4200": self.prefect,
            "mlflow:5000": self.mlflow,
            "dask-scheduler:8786": self.dask,
            "127.0.0.1:4200": self.prefect,
            "127.0.0.1:5000": self.mlflow,
            "postgres:5432": f"127.0.0.1:{postgres}",
            "=0.0.0.0": "=127.0.0.1",
            "/opt/evertune": str(ROOT),
            "/var/lib/evertune": str(self.folder / "home"),
            "/tmp/prefect": str(self.folder / "prefect"),
            "/tmp/dask": str(self.folder / "dask"),
        }
        return whole.get(text) or re.sub("|".join(parts), lambda found: parts[found[0]], text)


@contextmanager
def start_topology(folder: Path) -> Iterator[Topology]:
    """PostgreSQL with the three databases, Prefect's and MLflow's server, both healthy; everything is gone after the block."""
    (folder / "home").mkdir(parents=True)
    values = {name: secrets.token_hex(12) for name in SECRETS}
    with ExitStack() as stack:
        database = stack.enter_context(start_server())
        make_databases(database, values)
        with free_socket() as first, free_socket() as second, free_socket() as third:
            prefect, mlflow, dask = (f"127.0.0.1:{one.getsockname()[1]}" for one in (first, second, third))
        made = Topology(folder, values, database, prefect, mlflow, dask, read_services(values))
        stack.callback(end_all, made.running)
        servers = {f"http://{prefect}/api/health": made.start("prefect"), f"http://{mlflow}/health": made.start("mlflow")}
        for address, server in servers.items():
            made.await_health(address, server)
        yield made


def make_databases(server: Server, values: Mapping[str, str]) -> None:
    """What PostgreSQL's image does on its first start: run the script of deploy/postgres."""
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGPASSWORD": PASSWORD, "POSTGRES_USER": "reader"}
    environment = {"PATH": f"{server.program.parent}:{os.environ['PATH']}", **where, **values}
    subprocess.run(["sh", ROOT / "deploy" / "postgres" / "databases.sh"], env=environment, check=True, capture_output=True)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """A machine that is gone: the process and all that it started, at once, with -9."""
    try:
        everybody = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        everybody = []
    for one in everybody:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def end_all(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in reversed(processes):
        kill_tree(process)


def ask_with(address: str, authorization: str = "") -> int:
    """The status of an answer to a GET."""
    request = urllib.request.Request(address, headers={"Authorization": authorization} if authorization else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
