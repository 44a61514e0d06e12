"""The platform's backend run as root and as an ordinary user; a person inside attacks it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ORDINARY_UID = 64_999
"""Nobody's uid on any machine we know; arbitrary."""
ROOT = os.geteuid() == 0


def python_for_all() -> str:
    """An interpreter that every uid can run."""
    return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


class Platform:
    """A backend in a process of its own, with the rights of root or of an ordinary user."""

    def __init__(self, root: Path, *, as_root: bool) -> None:
        self.as_root = as_root
        self.state = root / "state"
        self.package = root / "code"

    def run(self, scenario: str) -> Any:
        """What the function of ``scenarios.py`` returns when run in that process."""
        drop = (
            []
            if self.as_root or not ROOT
            else ["setpriv", f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups"]
        )
        interpreter = [sys.executable] if self.as_root or not ROOT else [python_for_all()]
        done = subprocess.run(
            [*drop, *interpreter, str(self.package / "scenarios.py"), scenario, str(self.state)],
            env={"PATH": os.environ["PATH"], "HOME": str(self.state), "PYTHONPATH": self.python_path()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def python_path(self) -> str:
        """Our code and its libraries, where the ordinary user can read them."""
        return f"{self.package}:{next(Path(sys.prefix).glob('lib/python*/site-packages'))}"


@pytest.fixture(params=[pytest.param("root", marks=pytest.mark.root), "ordinary"])
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    root = Path(tempfile.mkdtemp(prefix="aiinfn-attack-"))
    root.chmod(0o755)
    made = Platform(root, as_root=request.param == "root")
    made.package.mkdir()
    shutil.copytree(HERE.parents[1] / "jupyterhub_aiinfn", made.package / "jupyterhub_aiinfn")
    for name in ("probe.py", "scenarios.py"):
        shutil.copy(HERE / name, made.package / name)
    made.state.mkdir(mode=0o711)
    if ROOT and not made.as_root:
        os.chown(made.state, ORDINARY_UID, ORDINARY_UID)
    yield made
    shutil.rmtree(root, ignore_errors=True)
