"""`python -m flows.prefect_server SOCKET`: Prefect's API server on a socket that is already bound.

A process of its own, started by flows.servers. It takes the socket as an inherited file descriptor, so no other
program can take the port in the seconds between choosing and using it. Set up by PREFECT_ variables.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from tasks.homes import Home, first_access


def main(descriptor: int) -> None:
    """Migrate the home's database, one process at a time, then serve until SIGTERM."""
    home = Home.from_environment()
    with first_access(home, "prefect"):
        asyncio.run(migrate())
    serve(socket.socket(fileno=descriptor))


async def migrate() -> None:
    from prefect.server.database import provide_database_interface

    await provide_database_interface().create_db()


def serve(listener: socket.socket) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.Server(uvicorn.Config(create_app(final=True), log_level="warning", lifespan="on")).run(sockets=[listener])


if __name__ == "__main__":
    main(int(sys.argv[1]))
