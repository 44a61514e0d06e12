"""pip of an image, a real one: what would change the image is answered with what to do, the rest works."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.pip_guard import guard_pip
from tests.own_session import make_image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = make_image(tmp_path_factory.mktemp("images") / "it's an image")
    guard_pip(prefix, "GPU $(touch /tmp/never) `id`")
    return prefix


def pip(image: Path, *words: str) -> tuple[int, str]:
    variables = {"PATH": os.defpath, "HOME": str(image), "PIP_NO_INDEX": "1"}
    done = subprocess.run([*words], env=variables, capture_output=True, text=True, cwd=image)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("words", [["install", "x"], ["-q", "install", "-r", "f"], ["uninstall", "-y", "base-tools"]])
def test_changing_the_image_ends_in_a_sentence(image: Path, words: list[str]) -> None:
    for program in ([str(image / "bin/python"), "-m", "pip"], [str(image / "bin/pip")]):
        code, output = pip(image, *program, *words)
        assert code == 1
        assert "environment of the image GPU $(touch /tmp/never) `id`, which everybody shares" in output
        assert "aiinfn env create my-tools PACKAGES" in output


def test_everything_else_works(image: Path) -> None:
    python = str(image / "bin/python")
    code, output = pip(image, python, "-m", "pip", "show", "base-tools")
    assert (code, "Version: 1.0" in output) == (0, True), output
    code, output = pip(image, python, "-m", "pip", "install", "--dry-run", "base-tools")
    assert (code, "already satisfied" in output) == (0, True), output


def test_own_environments_have_a_pip_of_their_own(image: Path, tmp_path: Path) -> None:
    subprocess.run([image / "bin/python", "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    own = next((tmp_path / "venv").glob("lib/python3*/site-packages"))
    below = next(image.glob("lib/python3*/site-packages"))
    (own / "image.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n")
    code, output = pip(image, str(tmp_path / "venv/bin/python"), "-m", "pip", "install", "there-is-no-such-package")
    assert code == 1
    assert "No matching distribution found" in output
