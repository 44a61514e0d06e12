"""How a whole run closes: what it counts, and what it does not let pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
ALONE = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
INI = "[pytest]\nmarkers =\n    hardware: h\ntestpaths = tests\naddopts = --import-mode=importlib\n"
ONCE = (
    "from pathlib import Path\n\ndef test_%s():\n    mark = Path(__file__).with_name('%s')\n"
    "    if not mark.exists():\n        mark.touch()\n        assert False, 'the first try'\n"
)
PASSES = "def test_it():\n    pass\n"
FAILS = "def test_it():\n    assert False\n"
SKIPS = "import pytest\n\ndef test_it():\n    pytest.skip('no reason')\n"
HARDWARE = "import pytest\n\n@pytest.mark.hardware\ndef test_it():\n    pytest.skip('no board')\n"
RERUNS = ("-p", "pytest_rerunfailures", "-rR")
BREAKS = (
    "import pytest\n\n@pytest.fixture\ndef broken():\n    yield\n    raise OSError\n\ndef test_it(broken):\n    pass\n"
)


@pytest.fixture
def closing(tmp_path):
    """Runs a small set of tests, given as folder to file, in a pytest of its own: (exit code, last line, all)."""

    def run(*arguments: str, **files: str) -> tuple[int, str, str]:
        (tmp_path / "pytest.ini").write_text(INI)
        for folder, text in files.items():
            (tmp_path / "tests" / folder).mkdir(parents=True)
            (tmp_path / "tests" / folder / "test_it.py").write_text(text)
        shutil.copy(CONFTEST, tmp_path / "tests")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=ALONE, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout.splitlines()[-1], done.stdout

    return run


def test_the_last_line_counts_each_test_once(closing):
    code, last, _ = closing("--whole", good=PASSES, bad=FAILS, board=HARDWARE + PASSES.replace("it", "too"))
    assert (code, last) == (1, "2 passed, 1 failed, 1 skipped")


def test_the_table_is_by_folder(closing):
    _, _, text = closing(good=PASSES, bad=FAILS)
    assert "good      1 passed      0 failed      0 skipped" in text
    assert "bad       0 passed      1 failed      0 skipped" in text


def test_a_skip_needs_the_marker(closing):
    code, _, text = closing("--whole", silent=SKIPS + PASSES.replace("it", "too"))
    assert code == 1
    assert "tests/silent/test_it.py::test_it skipped and is not marked hardware" in text


def test_a_browser_gets_a_second_try_and_it_is_named(closing):
    code, last, text = closing("--whole", *RERUNS, browser=ONCE % ("it", "it"), unit=PASSES)
    assert (code, last) == (0, "2 passed, 0 failed, 0 skipped")
    assert "SECOND TRY: tests/browser/test_it.py::test_it" in text
    assert "the first try" in text


def test_what_fails_twice_fails_and_other_folders_get_one_try(closing):
    code, last, text = closing("--whole", *RERUNS, browser=FAILS, unit=ONCE % ("it", "it"))
    assert (code, last) == (1, "0 passed, 2 failed, 0 skipped")
    assert "SECOND TRY: tests/unit" not in text


def test_more_than_three_second_tries_are_a_fault(closing):
    tests = "".join(ONCE % (name, name) for name in "abcd")
    code, _, text = closing("--whole", *RERUNS, browser=tests)
    assert code == 1
    assert "FAULT: 4 tests needed a second try; 3 may" in text


def test_without_whole_a_skip_is_a_skip(closing):
    assert closing(silent=SKIPS)[:2] == (0, "0 passed, 0 failed, 1 skipped")


def test_a_folder_that_runs_nothing_fails_the_run(closing):
    code, last, text = closing("--whole", good=PASSES, empty="")
    assert (code, last) == (1, "1 passed, 1 failed, 0 skipped")
    assert "the folder tests/empty ran nothing" in text


def test_a_module_that_cannot_be_collected_has_failed(closing):
    code, last, _ = closing("--whole", good=PASSES, broken="import nothing_of_this_name\n")
    assert code != 0
    assert " 0 failed" not in last


def test_an_error_when_a_test_is_cleared_up_is_its_failure(closing):
    assert closing("--whole", broken=BREAKS)[:2] == (1, "0 passed, 1 failed, 0 skipped")


def test_several_processes_count_as_one_run(closing):
    arguments = ("--whole", "-p", "xdist.plugin", "-n", "2")
    code, last, text = closing(*arguments, good=PASSES, bad=FAILS, board=HARDWARE + PASSES.replace("it", "too"))
    assert (code, last) == (1, "2 passed, 1 failed, 1 skipped")
    assert "good       1 passed      0 failed      0 skipped" in text
    assert "FAULT" not in text


def test_what_several_processes_skip_is_not_passed_over(closing):
    module = "import pytest\n\npytest.skip('no reason', allow_module_level=True)\n"
    code, _, text = closing("--whole", "-p", "xdist.plugin", "-n", "2", good=PASSES, silent=SKIPS, whole=module)
    assert code == 1
    assert "tests/silent/test_it.py::test_it skipped and is not marked hardware" in text
    assert "tests/whole/test_it.py skipped and is not marked hardware" in text
