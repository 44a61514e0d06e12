"""Does one piece of work on an own environment: ``python -m …worker`` reads it from standard input as JSON.

It answers with one JSON object a line: ``{"kind": "step" | "line" | "done" | "failed", "text": …}``. JupyterLab's
server starts it, so that nothing long runs in the server; SIGTERM ends it and leaves nothing half done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.model.own_environments import Pin, parse_requirements, requested_in

from .environments import OwnEnvironments


def create(environments: OwnEnvironments, order: Mapping[str, Any]) -> str:
    """Make an environment of packages or of a lock file."""
    wanted, requested = _wanted(order)
    return f"{environments.create(order['name'], order['place'], wanted, requested=requested).reference} is ready"


def install(environments: OwnEnvironments, order: Mapping[str, Any]) -> str:
    """Install packages."""
    wanted, requested = _wanted(order)
    found = environments.install(order["reference"], wanted, requested=requested)
    return f"{found.reference} has the packages; restart its kernels"


def repair(environments: OwnEnvironments, order: Mapping[str, Any]) -> str:
    """Make it again."""
    return f"{environments.repair(order['reference']).reference} is ready again"


def remove(environments: OwnEnvironments, order: Mapping[str, Any]) -> str:
    """Remove it."""
    environments.remove(order["reference"])
    return f"{order['reference']} is removed"


def export(environments: OwnEnvironments, order: Mapping[str, Any]) -> str:
    """The lock file."""
    return environments.export(order["reference"])


VERBS: dict[str, Callable[[OwnEnvironments, Mapping[str, Any]], str]] = {
    "create": create,
    "install": install,
    "repair": repair,
    "remove": remove,
    "export": export,
}


def _wanted(order: Mapping[str, Any]) -> tuple[list[Pin], tuple[str, ...]]:
    if order.get("lock"):
        return list(parse_requirements(order["lock"])), requested_in(order["lock"])
    return [Pin(package) for package in order["packages"]], ()


def say(kind: str, text: str) -> None:
    """One line of the answer."""
    print(json.dumps({"kind": kind, "text": text}), flush=True)  # noqa: T201 - the answer


def main() -> int:
    """Do the work; the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    order = json.load(sys.stdin)
    try:
        say("done", VERBS[order["verb"]](OwnEnvironments(os.environ, say), order))
    except (AiinfnError, OSError) as error:
        say("failed", str(error))
        return 1
    return 0


def _stop(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
