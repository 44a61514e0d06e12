"""Run one command of a check, quietly: one line when it passes, all that it printed when it fails.

    python .ci/step.py [--in FOLDER] NAME -- COMMAND…

Commands of npm find a Node that is new enough.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from setup import ROOT, node_environment


def main(arguments: list[str]) -> int:
    """The exit code of the command."""
    options, command = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    folder = ROOT / options[1] if options[0] == "--in" else ROOT
    begun = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=node_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    verdict = "ok" if done.returncode == 0 else f"failed with exit code {done.returncode}"
    print(f"{options[-1]}: {verdict} ({time.monotonic() - begun:.1f} s)", flush=True)
    if done.returncode:
        sys.stdout.buffer.write(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
