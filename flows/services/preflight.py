"""Asked before anything is read or trained: do the servers that the environment names answer, and let us in?"""

from __future__ import annotations

import base64
import logging
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from tasks.errors import ConfigError, ServiceUnavailable
from tasks.homes import Home

ANSWER_SECONDS = 3.0
ALTOGETHER_SECONDS = 4.5
MLFLOW_LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # tasks.patience does it, and not in silence: by default one call blocks for four minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
log = logging.getLogger("evertune")
DATABASES = {"MLFLOW_TRACKING_URI": "mlflow_url", "EVERTUNE_STUDIES_URL": "studies_url"}


def studies_url(home: Home) -> str:
    """Where studies and leases are kept: the database that EVERTUNE_STUDIES_URL names, else this home's own."""
    given = os.environ.get("EVERTUNE_STUDIES_URL") or home.studies_url
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", given)  # the driver that is installed


def check_services() -> None:
    """Ask Prefect's and MLflow's server, where the environment names one, and refuse databases that collide.

    Takes at most 5 seconds, and limits how long MLflow's client will wait later. Raises ConfigError for two stores in
    one database, ServiceUnavailable for a server that is down, does not answer, or refuses the password.
    """
    for name, value in MLFLOW_LIMITS.items():
        os.environ.setdefault(name, value)
    refuse_shared_database(os.environ)
    if os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http") and not os.environ.get("EVERTUNE_STUDIES_URL"):
        log.warning(
            "MLFLOW_TRACKING_URI names a server, but a model's lease is kept in this home: retrains elsewhere are not kept apart; "
            "set EVERTUNE_STUDIES_URL to a database that all of them reach"
        )
    faults = ask_all([service for service in (prefect_service(os.environ), mlflow_service(os.environ)) if service])
    if faults:
        raise ServiceUnavailable("\n".join(faults))


@dataclass(frozen=True)
class Service:
    """A server the user named: where it says it is well, and where it looks at the password."""

    name: str
    variable: str
    address: str
    health: str
    guarded: str
    authorization: str
    password: str

    def fault(self) -> str | None:
        """What is wrong with it, in one line, or None."""
        for path in (self.health, self.guarded):
            status = answer(self.address + path, self.authorization)
            if isinstance(status, str):
                return self.says(f"does not answer: {status}", f"start it, or correct {self.variable}")
            if status in (401, 407):
                return self.says("refuses the password" if self.authorization else "asks for a password", f"set {self.password}")
            if status == 403:
                return self.says("refuses us (403)", "let this user, or this host name, in there (mlflow server --allowed-hosts)")
            if status >= 500 or (status == 404 and path == self.health):
                return self.says(f"answers {status} at {path}", f"is {self.variable} its address?")
        return None

    def says(self, what: str, advice: str) -> str:
        return f"{self.name} at {masked(self.address)} {what}; {advice}"


def prefect_service(environment: Mapping[str, str]) -> Service | None:
    """Prefect's server, if PREFECT_API_URL names one."""
    address, user = without_user(environment.get("PREFECT_API_URL", ""))
    if not address.startswith("http"):
        return None
    key, password = environment.get("PREFECT_API_KEY"), environment.get("PREFECT_API_AUTH_STRING") or user
    authorization = f"Bearer {key}" if key else basic(password)
    return Service("Prefect's server", "PREFECT_API_URL", address, "/health", "/admin/version", authorization, "PREFECT_API_AUTH_STRING")


def mlflow_service(environment: Mapping[str, str]) -> Service | None:
    """MLflow's server, if MLFLOW_TRACKING_URI names one."""
    address, user = without_user(environment.get("MLFLOW_TRACKING_URI", ""))
    if not address.startswith("http"):
        return None
    token, name = environment.get("MLFLOW_TRACKING_TOKEN"), environment.get("MLFLOW_TRACKING_USERNAME")
    login = f"{name}:{environment.get('MLFLOW_TRACKING_PASSWORD', '')}" if name else user
    authorization = f"Bearer {token}" if token else basic(login)
    guarded = "/api/2.0/mlflow/experiments/search?max_results=1"
    variables = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return Service("MLflow's server", "MLFLOW_TRACKING_URI", address, "/health", guarded, authorization, variables)


def ask_all(services: list[Service]) -> list[str]:
    """The faults of all services, asked at the same time; one that still says nothing at the end is at fault."""
    deadline, faults = time.monotonic() + ALTOGETHER_SECONDS, {}
    for service in services:
        silence = f"does not answer within {ALTOGETHER_SECONDS:.0f} seconds"
        faults[service.name] = service.says(silence, f"start it, or correct {service.variable}")
    threads = [threading.Thread(target=lambda one=one: faults.update({one.name: one.fault()}), daemon=True) for one in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [fault for fault in faults.values() if fault]


def answer(url: str, authorization: str) -> int | str:
    """The status a server answers with, or why there is none."""
    request = urllib.request.Request(url, headers={"Authorization": authorization} if authorization else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError as error:
        return (
            "no answer in time" if isinstance(error.reason, TimeoutError) else str(getattr(error.reason, "strerror", None) or error.reason)
        )
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:.0f} seconds"
    except (OSError, ValueError) as error:
        return str(error)


def refuse_shared_database(environment: Mapping[str, str]) -> None:
    """MLflow, Optuna and Prefect each keep their version in a table of the same name: one database each.

    Raises ConfigError.
    """
    home = Home.from_environment()
    owners: dict[object, str] = {identity(home.prefect_url): "Prefect's embedded server"}
    for variable, default in DATABASES.items():
        url = environment.get(variable) or getattr(home, default)
        if url.startswith("http"):
            continue
        other = owners.setdefault(identity(url), variable)
        if other != variable:
            raise ConfigError(
                f"{variable} names the same database as {other} ({masked(url)}); they cannot share one, name another database"
            )


def identity(url: str) -> object:
    """What tells two database addresses apart, however they are written."""
    parts = urlsplit(url)
    kind = parts.scheme.split("+")[0]
    if kind == "sqlite":
        return kind, str(Path(unquote(parts.path).removeprefix("/")).resolve())
    kind = "postgresql" if kind == "postgres" else kind
    host = "127.0.0.1" if parts.hostname in (None, "localhost", "::1") else parts.hostname
    search_path = parse_qs(parts.query).get("options")
    return kind, host, parts.port or {"postgresql": 5432, "mysql": 3306}.get(kind), parts.path.strip("/"), str(search_path)


def without_user(address: str) -> tuple[str, str]:
    """The address as it is dialled, and its `user:password`, if it carries one."""
    parts = urlsplit(address.rstrip("/"))
    user = unquote(parts.netloc.rpartition("@")[0])
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), user


def masked(address: str) -> str:
    """The address as it may be shown."""
    parts: SplitResult = urlsplit(address)
    if parts.password is None:
        return address
    return parts._replace(netloc=f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}").geturl()


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
