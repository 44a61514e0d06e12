"""A server that starts in a tenth of a second and answers whatever it is asked: the hub's tests need no more."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
ThreadingHTTPServer((address.hostname or "127.0.0.1", address.port or 0), Handler).serve_forever()
