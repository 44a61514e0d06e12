"""Whether a home can be written, tried as its person just before their session starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from jupyterhub_aiinfn.model.rescue import HomeProbe

from .launching import PACKAGES

PROBE = "jupyterhub_aiinfn.singleuser.cleanup.probing"
"""The program, which the session's own server uses too; here it is started as a process of its own."""
PROGRAM = f"import sys; sys.path.append(sys.argv.pop(1)); from {PROBE} import main; main(*sys.argv[1:])"
SECONDS = 10.0
"""How long it may take; it takes 30 ms. A home that does not answer at all (a network that is away) is not judged."""


def probe_home(home: Path, uid: int) -> HomeProbe:
    """What happened. Blocking. As root the program gives its rights up before it touches anything in the home."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(PACKAGES), str(home), str(uid)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True, cwd="/")
        return HomeProbe(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return HomeProbe()  # nothing is known against the home: the session starts as usual
