"""A proxy before a real server, which does to single requests what networks, and other proxies, do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Rule = Callable[[str, str], str | float]
"""Method and path (without its query) of a request -> what becomes of it, empty for nothing unusual.

`500`, `429`: answered so, and not passed on; `lose`: passed on, its answer dropped; `cut`: half of its body is passed on, then
both ends are hung up on; `halve`: half of its body is passed on as if it were all; `hang`: taken, and never answered; a
number: passed on after so many seconds.
"""


@contextmanager
def proxy(port: int, rule: Rule) -> Iterator[str]:
    """Its address, as long as the body runs; `port` is the real server's, on the loopback."""
    over = threading.Event()

    class Between(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            fate = rule(self.command, self.path.partition("?")[0])
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length // 2 if fate in ("cut", "halve") else length)
            if isinstance(fate, float):
                time.sleep(fate)
            elif fate == "hang":
                over.wait()
                return
            elif fate.isdigit():
                self.send_error(int(fate))
                return
            headers = dict(self.headers) | ({"Content-Length": str(len(body))} if fate == "halve" else {})
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                server.request(self.command, self.path, body, headers)
                if fate == "cut":
                    return
                answer = server.getresponse()
                content = answer.read()
            finally:
                server.close()
            if fate != "lose":
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type") or "")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that has hung up meanwhile is no error here."""

    with Quiet(("127.0.0.1", 0), Between) as between:
        thread = threading.Thread(target=between.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{between.server_port}"
        finally:
            over.set()
            between.shutdown()
            thread.join()
