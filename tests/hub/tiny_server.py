"""A server that starts in a tenth of a second and answers whatever it is asked: the hub's tests need no more.

How it answers a POST (the hub has it save before a stop) is written by the test in the file ``saving`` of its home;
what it was asked is appended to ``asked``.
"""

import contextlib
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

HOME = Path(os.environ["HOME"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        with (HOME / "asked").open("a") as asked:
            asked.write(f"{self.path} {self.headers['Authorization']}\n")
        mode = (HOME / "saving").read_text() if (HOME / "saving").exists() else "well"
        with contextlib.suppress(OSError):
            getattr(self, mode)()

    def well(self) -> None:
        time.sleep(0.3)
        self.do_GET()

    def silent(self) -> None:
        time.sleep(60)

    def drops(self) -> None:
        for _ in range(60):
            self.wfile.write(b"H")
            self.wfile.flush()
            time.sleep(1)

    def huge(self) -> None:
        for _ in range(10_000):
            self.wfile.write(b"x" * 1_000_000)

    def redirects(self) -> None:
        self.send_response(307)
        self.send_header("Location", f"http://{self.headers['Host']}/user/alice/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def closes(self) -> None:
        self.connection.close()

    def fails(self) -> None:
        self.send_error(500)

    def log_message(self, *arguments: object) -> None:
        pass


address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
ThreadingHTTPServer((address.hostname or "127.0.0.1", address.port or 0), Handler).serve_forever()
