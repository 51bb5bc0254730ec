"""`python -m flows.services.prefect_server SOCKET`: Prefect's API server on a socket that is already bound.

A process of its own, started by flows.services.servers. It takes the socket as an inherited file descriptor, so no other
program can take the port in the seconds between choosing and using it. Set up by PREFECT_ variables.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tasks.homes import Home, first_access

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


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

    address = f"127.0.0.1:{listener.getsockname()[1]}"
    app = only_talking_to(create_app(final=True), f"'self' http://{address} ws://{address}")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on")).run(sockets=[listener])


def only_talking_to(app: Application, hosts: str) -> Application:
    """The app, with its pages forbidden to reach any other host: they try to, even with analytics off."""
    policy = (b"content-security-policy", f"connect-src {hosts}".encode())

    async def restricted(scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), policy]}
            await send(message)

        await app(scope, receive, send_with_policy)

    return restricted


if __name__ == "__main__":
    main(int(sys.argv[1]))
