"""Stands for a session: answers every request, and writes its token down for the test."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Answer(BaseHTTPRequestHandler):
    """200 to everything."""

    def do_GET(self):
        """Answer."""
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.end_headers()
        self.wfile.write(b"{}")


server = os.environ.get("JUPYTERHUB_SERVER_NAME", "")
state = Path(os.environ["HOME"])
(state / f"token-{os.environ['JUPYTERHUB_USER']}-{server}").write_text(os.environ["JUPYTERHUB_API_TOKEN"])
(state / f"tiny-{os.getpid()}").touch()  # so that the test ends it, when the hub was killed before
ThreadingHTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever()
