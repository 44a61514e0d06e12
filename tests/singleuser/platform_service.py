"""A small platform service and hub over real HTTP: it answers what the test says, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jupyterhub_aiinfn.api.sessions import SessionLimits
from jupyterhub_aiinfn.api.workloads import Phase, Workload, WorkloadKind

WORKLOAD = "w-of-the-test"


def limits(**changes: Any) -> SessionLimits:
    """What the service says about the session."""
    workload = Workload(
        id=WORKLOAD,
        kind=WorkloadKind.session,
        name="quantum of alba",
        cores=1,
        memory_gib=1,
        phase=Phase.running,
        created_at=datetime.now(UTC),
    )
    return SessionLimits(workload=workload, **({"next_report_seconds": 1} | changes))


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    token: str
    body: Any
    at: float


@dataclass
class SmallService:
    """``answers`` maps ``METHOD path-ending`` to status and body (bytes are sent as they are)."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    delay: float = 0.0

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                token = self.headers.get("Authorization", "").removeprefix("token ")
                outer.asked.append(Asked(self.command, self.path, token, body, time.monotonic()))
                time.sleep(outer.delay)
                status, said = outer.answer_to(self.command, self.path)
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names of the standard library

            def log_message(self, *_: Any) -> None:
                """The test reads ``asked``."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer_to(self, method: str, path: str) -> tuple[int, Any]:
        """What the test wants to be answered."""
        for name, answer in self.answers.items():
            if name.split()[0] == method and path.endswith(name.split()[1]):
                return answer
        return 404, {"error": {"reason": "not-found", "message": "there is nothing at this address"}}

    def of(self, method: str, ending: str) -> list[Asked]:
        """The requests of that kind."""
        return [one for one in self.asked if one.method == method and one.path.endswith(ending)]

    def forget(self) -> None:
        """Answer nothing special, as at the beginning."""
        self.answers, self.asked, self.delay = {}, [], 0.0
        self.says()

    def says(self, **changes: Any) -> None:
        """What reports are answered with from now on."""
        self.answers["POST /reports"] = 200, limits(**changes).model_dump(mode="json")

    def close(self) -> None:
        """End it: from now on nobody listens there."""
        self._server.shutdown()
        self._server.server_close()
