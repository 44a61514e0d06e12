"""What a person inside a session gets from the ports of loopback (standard library only); prints one JSON object.

stdin: ``{"ports": {"hub", "proxy_api", "service", "public", "victim"}, "token", "secrets"}``. Secrets come backwards:
the question must not hold what may not be found in an answer.
"""

from __future__ import annotations

import http.client
import json
import sys
from pathlib import Path

GIVEN = json.load(sys.stdin)
SECRETS = [secret[::-1] for secret in GIVEN["secrets"]]
OWN_TOKEN = GIVEN["token"]
REFUSALS = (301, 302, 400, 401, 403, 404, 405, 422)
BREACHES: list[str] = []
REFUSED: list[str] = []
VICTIM = (
    *("/api/contents", "/api/contents/private.txt", "/api/kernels", "/api/sessions", "/api/terminals", "/lab"),
    *("/files/private.txt", "/aiinfn/api/session", "/api/status", "/api/me"),
)
HUB = (
    *("/users", "/users/alice", "/users/alice/tokens", "/services", "/services/aiinfn", "/proxy", "/groups"),
    *("/users/alice/server/progress", "/info"),
)
HUB_CHANGES = (
    *(
        "/users/alice/server",
        "/users/alice/tokens",
        "/users/alice/activity",
        "/users/eve",
        "/shutdown",
        "/groups/admins",
    ),
    "/users/alice/shares",
)


def ask(port: int, path: str, method: str = "GET", token: str | None = None, seconds: float = 10) -> tuple[int, bytes]:
    """Status (0: nothing that speaks HTTP) and the first part of the answer."""
    headers = {"Authorization": f"token {token}"} if token else {}
    body = b"{}" if method == "POST" else None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read1(65536) if answer.status != 101 else b""
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def attack(port: int, path: str, method: str = "GET") -> None:
    """With the own token and without: refused, or sent to the login."""
    for token in (None, OWN_TOKEN):
        status, body = ask(port, path, method, token)
        name = f"{method} {port}{path} {'with' if token else 'without'} a token: {status}"
        look(name, body)
        (REFUSED if status in REFUSALS else BREACHES).append(name)


def look(name: str, body: bytes) -> None:
    """No answer may hold a secret."""
    BREACHES.extend(f"a secret in {name}" for secret in SECRETS if secret.encode() in body)


def listening() -> list[int]:
    """Every port on which somebody listens."""
    ports = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [row.split() for row in Path(name).read_text().splitlines()[1:]] if Path(name).exists() else []
        ports |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
    return sorted(ports)


def attack_person(ports: dict[str, int]) -> None:
    """Her server, directly and through the proxy."""
    for path in VICTIM:
        for prefix in ("", "/user/alice"):
            attack(ports["victim"], prefix + path)
        attack(ports["public"], f"/user/alice{path}")
    for path in ("/api/kernels", "/api/terminals", "/api/shutdown", "/api/contents"):
        attack(ports["victim"], f"/user/alice{path}", "POST")


def attack_hub(port: int) -> None:
    """The hub's REST API as oneself."""
    for path in HUB:
        attack(port, f"/hub/api{path}")
    for path in HUB_CHANGES:
        attack(port, f"/hub/api{path}", "POST")
    attack(port, "/hub/api/users/alice/server", "DELETE")
    attack(port, "/hub/admin")


def attack_proxy(port: int) -> None:
    """Routes: who may change them gets everybody's requests."""
    for path in ("/api/routes", "/api/routes/user/alice", "/"):
        attack(port, path)
    for method in ("POST", "DELETE"):
        attack(port, "/api/routes/user/alice", method)


def attack_service(port: int) -> None:
    """What is not for everybody; in what is one's own, nothing of others."""
    for path in ("/metrics", "/api/v1/environments/../../metrics", "/api/v1/starts/1", "/starts/1"):
        attack(port, f"/services/aiinfn{path}")
    for path in ("/sessions", "/me", "/availability", "/sessions?person=alice"):
        look(path, ask(port, f"/services/aiinfn/api/v1{path}", token=OWN_TOKEN)[1])


def attack_all() -> None:
    """Everything known, and whatever else listens."""
    ports = GIVEN["ports"]
    attack_person(ports)
    attack_hub(ports["hub"])
    attack_hub(ports["public"])
    attack_proxy(ports["proxy_api"])
    attack_service(ports["service"])
    for port in listening():
        status, body = ask(port, "/", token=OWN_TOKEN, seconds=0.5)
        look(f"{port}/", body)
        for path in ("/api", "/metrics") if status else ():
            look(f"{port}{path}", ask(port, path, token=OWN_TOKEN, seconds=0.5)[1])


attack_all()
json.dump({"breaches": BREACHES, "refused": REFUSED, "listening": listening()}, sys.stdout)
