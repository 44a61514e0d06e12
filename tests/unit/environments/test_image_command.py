"""``aiinfn image``, as a person runs it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.supervisor.places import remember_values

from .conftest import Builder, kernel_wheel, wheel

VALUES = """
version: 1
site: {name: Test}
images:
  demo: {name: Demo, folder: demo}
profiles:
  demo: {name: Demo, image: demo, sizes: {small: {cores: 1, memory_gib: 1}}, max: 1h}
"""


class Command:
    """Runs ``aiinfn image`` with a values file and a cache of its own."""

    def __init__(self, builder: Builder, folder: Path) -> None:
        self.builder, self.folder = builder, folder / "demo"
        self.folder.mkdir()
        self.values = folder / "values.yaml"
        self.values.write_text(VALUES)
        builder.frozen = self.folder / "requirements.txt"
        builder.freeze(builder.index.add(kernel_wheel()), builder.index.add(wheel("one")))

    def words(self, *words: str) -> list[str]:
        options = ["--values", str(self.values), "--cache", str(self.builder.cache)]
        return [sys.executable, "-m", "jupyterhub_aiinfn.cli", "image", *options, *words]

    def __call__(self, *words: str, answer: str = "") -> tuple[int, str]:
        environment = self.builder.environment
        done = subprocess.run(
            self.words(*words), env=environment, input=answer, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def command(builder: Builder, tmp_path: Path) -> Command:
    return Command(builder, tmp_path)


@pytest.mark.slow
def test_list_build_verify_prune(command: Command) -> None:
    assert "demo  not built" in command("list")[1]
    code, output = command("build", "demo")
    assert code == 0, output
    assert "2/2 packages" in output
    assert "environment demo is ready" in output
    assert "demo  ready" in command("list")[1]
    code, output = command("verify", "demo")
    assert code == 1
    assert output.startswith("Error: image demo has no ")
    (command.folder / "verify").write_text("import one, sys; print('one is', one.X); sys.exit(one.X - 1)")
    code, output = command("verify", "demo")
    assert (code, "one is 1" in output, "environment demo works" in output) == (0, True, True)
    assert command("prune") == (0, f"judged by the images of {command.values}\nnothing to remove\n")
    command.builder.freeze(command.builder.index.add(kernel_wheel()))
    code, output = command("prune", answer="n\n")
    assert code == 0
    assert "Remove " in output
    assert len(list(command.builder.cache.glob("environments/*/ready.json"))) == 1
    code, output = command("prune", "--yes")
    assert (code, "removed" in output) == (0, True)
    assert not list(command.builder.cache.glob("environments/*/ready.json"))


def test_a_failed_check_of_an_environment_is_exit_1(command: Command) -> None:
    assert command("build", "demo")[0] == 0
    (command.folder / "verify").write_text("import sys; sys.exit('it is broken')")
    code, output = command("verify", "demo")
    assert code == 1
    assert "it is broken" in output
    assert "environment demo does not work" in output


def test_a_failed_build_shows_the_last_lines_and_exits_1(command: Command) -> None:
    command.builder.freeze(f"nowhere==3.1 \\\n    --hash=sha256:{'0' * 64}\n")
    code, output = command("build", "demo")
    assert code == 1
    assert "  ERROR: No matching distribution found for nowhere==3.1" in output
    assert "Error: environment demo: nowhere 3.1 could not be installed" in output


def test_a_terminal_gets_a_bar(command: Command) -> None:
    main, side = pty.openpty()
    with subprocess.Popen(command.words("build", "demo"), env=command.builder.environment, stdout=side) as process:
        os.close(side)
        text = b""
        try:
            while data := os.read(main, 4096):
                text += data
        except OSError:
            pass  # how a terminal ends
    os.close(main)
    assert process.returncode == 0
    assert b"[########################] 2/2 packages" in text


def test_verify_of_what_is_not_built_names_the_remedy(command: Command) -> None:
    assert command("verify", "demo") == (
        1,
        "Error: environment demo is not built; `aiinfn image build demo` builds it\n",
    )


def test_without_values_the_ones_of_the_last_start_are_meant(command: Command, tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.prepare()
    remember_values(state, command.values)
    words = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "image", "--state", str(state.root), "list"]
    done = subprocess.run(words, env=command.builder.environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("demo  not built"), done.stderr


@pytest.mark.root
def test_another_persons_cache_is_a_sentence(command: Command) -> None:
    assert command("build", "demo")[0] == 0
    command.builder.freeze(command.builder.index.add(kernel_wheel()))
    shared = command.folder.parent.parent
    words = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", *command.words("prune", "--yes")]
    for folder in (shared, command.folder.parent, command.builder.cache):
        folder.chmod(0o755)
    done = subprocess.run(words, env=command.builder.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "is not yours to change; run this as its owner" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_image_is_a_sentence(command: Command) -> None:
    code, output = command("build", "nonsense")
    assert (code, output) == (1, 'Error: there is no image "nonsense" in the values; there are demo\n')
