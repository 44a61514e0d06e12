"""The TypeScript types are what the service says, and a change that nobody generated is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "api_types.py"
CHECK = f"""
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("api_types", {str(SCRIPT)!r})
types = importlib.util.module_from_spec(spec)
spec.loader.exec_module(types)
types.TARGET = Path(sys.argv[1])
sys.exit(types.main(["--check"]))
"""


def check(file: Path) -> subprocess.CompletedProcess[str]:
    """What the step of `make check` says about a file of types."""
    return subprocess.run([sys.executable, "-c", CHECK, str(file)], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_the_committed_types_are_those_of_the_service() -> None:
    done = check(ROOT / "labextension/src/api.ts")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_type_that_is_stale_fails_and_says_what_to_do(tmp_path: Path) -> None:
    text = (ROOT / "labextension/src/api.ts").read_text()
    stale = tmp_path / "api.ts"
    stale.write_text(text.replace("extensions_left: number", "extensions_left: string"))
    assert stale.read_text() != text
    done = check(stale)
    assert done.returncode == 1
    assert "make types" in done.stderr


def test_no_type_of_an_answer_is_written_by_hand() -> None:
    sources = (ROOT / "labextension/src").rglob("*.ts*")
    written = [
        f"{file.name}: {line.strip()}"
        for file in sources
        if file.name != "api.ts" and "__tests__" not in file.parts
        for line in file.read_text().splitlines()
        if "under_platform:" in line
    ]
    assert written == []
