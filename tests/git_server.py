"""A git repository on loopback, as a real server gives it away: ``git http-backend`` behind a small web server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

IDENTITY = ("-c", "user.name=Teacher", "-c", "user.email=teacher@example.org")


@dataclass(frozen=True)
class GitServer:
    """Serves the bare repositories below ``root``."""

    root: Path
    host: str

    @property
    def lessons(self) -> str:
        """Address of the repository of the tests."""
        return f"{self.host}/course/lessons.git"

    def commit(self, files: dict[str, str]) -> None:
        """Write files into the repository, as a teacher does it."""
        work = self.root / "work"
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        git(work, "add", "-A")
        git(work, *IDENTITY, "commit", "-qm", "lessons")
        git(work, "push", "-q", str(self.root / "course" / "lessons.git"), "main")


@contextlib.contextmanager
def git_server(root: Path) -> Iterator[GitServer]:
    """A server with one repository, ``course/lessons.git``, that has a branch ``main``."""
    bare = root / "course" / "lessons.git"
    bare.mkdir(parents=True)
    (root / "work").mkdir()
    git(bare, "init", "-q", "--bare", "--initial-branch=main")
    git(root / "work", "init", "-q", "--initial-branch=main")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Backend,), {"root": root}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield GitServer(root, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


class Backend(BaseHTTPRequestHandler):
    """CGI for one program."""

    root: Path

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self, body: bytes) -> None:
        address = urlsplit(self.path)
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": address.path,
            "QUERY_STRING": address.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200 OK").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the tests look at results."""
