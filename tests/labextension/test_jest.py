"""The unit tests of the labextension (jest), each of its files as one test here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAB = ROOT / "labextension"
SPECS = sorted(str(path.relative_to(LAB)) for path in LAB.glob("src/**/*.spec.ts*"))


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, dict]:
    """What jest said of each file."""
    report = tmp_path_factory.mktemp("jest") / "results.json"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["jlpm", "jest", "--ci", "--json", f"--outputFile={report}"],
        cwd=LAB,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert report.is_file(), done.stdout[-3000:] + done.stderr[-3000:]
    said = json.loads(report.read_text())
    return {str(Path(result["name"]).relative_to(LAB)): result for result in said["testResults"]}


def test_there_are_specs():
    assert SPECS


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_jest(spec, results):
    result = results[spec]
    verdicts = {test["fullName"]: test["status"] for test in result["assertionResults"]}
    print(*(f"{status}: {name}" for name, status in verdicts.items()), sep="\n")
    assert result["status"] == "passed", result["message"]
    assert verdicts, "a file without tests"
    assert set(verdicts.values()) == {"passed"}, "nothing may be skipped"
