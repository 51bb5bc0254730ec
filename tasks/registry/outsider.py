"""The outsider: a process that knows nothing of Evertune and answers with a saved model, as a server elsewhere would.

`python -I -S -B outsider.py SOCKET PARENT SETTINGS`, run by this file's path and imported by nobody. It has the
libraries (the folders it is given) but not this project, no user's packages, no login and no variable of the parent's;
it reads no pickle. It is asked through what MLflow's scoring server does with the body of a request, without the server:
JSON in, read by the model's signature, JSON out.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

PR_SET_PDEATHSIG = 1
TEXT = 600


def main(socket: int, parent: int, settings: dict[str, Any]) -> None:
    """Import, say so, and answer until the other end closes. `settings`: `paths` to import from, `hidden` names, `libraries`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        return
    sys.path += settings["paths"]
    sys.modules |= dict.fromkeys(settings["hidden"])  # importing one of these fails, as it would where they are not installed
    os.set_inheritable(socket, False)
    with Connection(socket) as connection:
        import_libraries(settings["libraries"])
        tell(connection, {"ready": time.monotonic()})
        while True:
            try:
                asked = json.loads(connection.recv_bytes())
            except EOFError:
                return
            for answer in answers(asked["folder"], asked["bodies"]):
                tell(connection, answer)


def import_libraries(names: list[str]) -> None:
    """Import what scoring needs, and these libraries where they are; without the garbage collector, in less time."""
    gc.disable()
    importlib.import_module("mlflow.pyfunc.scoring_server")
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # a model that needs it will say so
    gc.enable()
    gc.freeze()


def answers(folder: str, bodies: list[str]) -> Iterator[dict[str, Any]]:
    """First whether the model could be loaded, then one answer a request; an `error` ends it."""
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import CONTENT_TYPE_JSON, invocations

    start = time.perf_counter()
    try:
        model = load_model(folder)
        schema = model.metadata.get_input_schema()
        if schema is None:
            raise ValueError("it has no signature, so a request cannot be read")
    except Exception as error:
        yield {"error": said(error)}
        return
    yield {"seconds": time.perf_counter() - start}
    for body in bodies:
        start = time.perf_counter()
        try:
            found = invocations(body, CONTENT_TYPE_JSON, model, schema)
        except Exception as error:
            yield {"error": said(error)}
            return
        yield {"text": found.response, "seconds": time.perf_counter() - start}


def said(error: Exception) -> str:
    """The error in a line; the whole of it goes to the log, and so does what MLflow wraps."""
    traceback.print_exc()
    inner = getattr(error, "stack_trace", None)
    last = str(inner).strip().splitlines()[-1] if inner else ""
    return " ".join(f"{type(error).__name__}: {error} {last}".split())[:TEXT]


def tell(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
