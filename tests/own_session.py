"""A session of a person as far as own environments see it: an image's environment, a home, and packages on disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.environments.conftest import wheel

SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def make_image(prefix: Path, title: str = "Python", version: str = "1.0") -> Path:
    """An image's environment with a package of its own, base_tools; pip and ipykernel are those of this checkout."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    packages = prefix / SITE
    (packages / "base_tools.py").write_text(f"VERSION = {version!r}\n")
    folder = packages / f"base_tools-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: base-tools\nVersion: {version}\n")
    (folder / "RECORD").write_text("base_tools.py,,\n")
    (packages / "of_this_checkout.pth").write_text(f"{Path(sys.prefix, SITE)}\n")
    kernel = prefix / "share/jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    spec = {
        "argv": [f"{prefix}/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "language": "python",
    }
    (kernel / "kernel.json").write_text(json.dumps(spec | {"display_name": title}))
    return prefix


@dataclass
class OwnSession:
    """Runs ``aiinfn env`` as a terminal of JupyterLab would."""

    home: Path
    image_prefix: Path
    wheels: Path
    image: str = "python"
    person: str = "alice"
    more: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "USER": self.person,
            "PATH": f"{self.image_prefix}/bin:{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "JUPYTER_PATH": str(self.image_prefix / "share/jupyter"),
            "AIINFN_IMAGE": self.image,
            "PYTHONNOUSERSITE": "1",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            **self.more,
        }

    @property
    def data(self) -> Path:
        return self.home / ".local/share/jupyter"

    def folder(self, name: str) -> Path:
        return self.home / ".local/share/aiinfn/environments" / name

    def python(self, name: str) -> Path:
        return self.folder(name) / "venv/bin/python"

    def add(self, name: str, version: str = "1.0", files: dict[str, bytes] | None = None) -> None:
        """Put a wheel where pip finds it."""
        file, data = wheel(name, version, files)
        self.wheels.mkdir(exist_ok=True)
        (self.wheels / file).write_bytes(data)

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-m", "jupyterhub_aiinfn.cli", "env", *words]
        return subprocess.Popen(
            command,
            env=self.variables,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Exit code and everything that was printed."""
        with self.start(*words) as process:
            output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def done(self, *words: str) -> str:
        """What was printed; the command must succeed."""
        code, output = self.run(*words)
        assert code == 0, output
        return output

    def refused(self, *words: str) -> str:
        """The sentence; the command must fail in words."""
        code, output = self.run(*words)
        assert code == 1, output
        assert "Traceback" not in output
        lines = [line for line in output.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, output
        return lines[0]

    def evaluate(self, name: str, code: str) -> str:
        """What a program of the environment prints."""
        done = subprocess.run([self.python(name), "-c", code], env=self.variables, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip()

    def close(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
