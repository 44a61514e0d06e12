"""What `make test` is: a command beside a cluster, where there can be one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAIN = [sys.executable, "-m", "tests.tools.cluster"]


@pytest.mark.parametrize("arguments", [[], ["run"], ["up", "down"], ["sideways"]])
def test_what_is_no_command_is_a_sentence(arguments: list[str]) -> None:
    done = subprocess.run([*MAIN, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "cluster: say one of up, down, status, or run and a command\n")


@pytest.mark.root  # root only can become somebody else
def test_somebody_who_is_not_root_goes_on_without_a_cluster() -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = ["/bin/sh", "-c", "echo as $(id -u); exit 7"]
    done = subprocess.run([*nobody, *MAIN, "run", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "cluster: only root can start one on this machine; going on without it\nas 65534\n"
