"""Real servers that keep what they are sent: HTTP, and SMTP with STARTTLS and a login."""

from __future__ import annotations

import base64
import json
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class HttpSink:
    """Answers each POST with the next of `answers` (status, headers), 200 when there is none left; `delay` seconds later."""

    address: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    delay: float = 0.0
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Path, headers, JSON."""

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.received]


@contextmanager
def http_sink() -> Iterator[HttpSink]:
    sink = HttpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sink.received.append((self.path, dict(self.headers), body))
            time.sleep(sink.delay)
            status, headers = sink.answers.pop(0) if sink.answers else (200, {})
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not on the tests' standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sink.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield sink
        server.shutdown()


@dataclass
class SmtpSink:
    """Speaks as much SMTP as a mail needs; with `certificate` it offers STARTTLS, with `password` it wants the login me."""

    port: int = 0
    certificate: Path | None = None
    password: str = ""
    refusal: str = ""
    """What MAIL FROM is answered with, instead of 250."""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[tuple[str, str, bool]] = field(default_factory=list)
    """User, password, whether it came encrypted."""


class _Talk(socketserver.StreamRequestHandler):
    sink: SmtpSink

    def handle(self) -> None:
        self._encrypted = False
        self._say("220 sink")
        while (line := self.rfile.readline().decode().strip()) and self._answer(line.partition(" ")[0].upper(), line):
            pass

    def _say(self, *lines: str) -> None:
        for number, line in enumerate(lines, start=1):
            self.wfile.write((line if number == len(lines) else line[:3] + "-" + line[4:]).encode() + b"\r\n")

    def _answer(self, verb: str, line: str) -> bool:
        sink = self.sink
        if verb == "EHLO":
            offers = ["250 STARTTLS"] if sink.certificate and not self._encrypted else []
            self._say("250 sink", *offers, *(["250 AUTH PLAIN"] if sink.password else []), "250 SIZE 1000000")
        elif verb == "STARTTLS" and sink.certificate:
            self._say("220 go on")
            self._encrypt(sink.certificate)
        elif verb == "AUTH":
            _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
            sink.logins.append((user, password, self._encrypted))
            self._say("235 in" if password == sink.password else f"535 {password} is not the password of {user}")
        elif verb == "MAIL":
            self._say(sink.refusal or "250 ok")
        elif verb == "RCPT":
            sink.recipients.append(line.partition(":")[2])
            self._say("250 ok")
        elif verb == "DATA":
            self._say("354 go on")
            lines = iter(self.rfile.readline, b".\r\n")
            data = b"".join(line[1:] if line.startswith(b".") else line for line in lines)
            sink.mails.append(message_from_bytes(data, _class=EmailMessage, policy=policy.default))  # type: ignore[arg-type]
            self._say("250 kept")
        else:
            self._say("221 bye" if verb == "QUIT" else "250 ok")
        return verb != "QUIT"

    def _encrypt(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)  # type: ignore[assignment]
        self._encrypted = True

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the encrypted one, which the server does not know


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that breaks off is what some tests are about."""


@contextmanager
def smtp_sink(certificate: Path | None = None, password: str = "") -> Iterator[SmtpSink]:
    sink = SmtpSink(certificate=certificate, password=password)
    with _Server(("127.0.0.1", 0), type("Talk", (_Talk,), {"sink": sink})) as server:
        sink.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield sink
        server.shutdown()


def make_certificate(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1 in one file, signed by themselves."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    subject = ["-subj", "/CN=sink", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both
