"""A package index on loopback that this machine can afford: small wheels, as slow and as broken as a test wants."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

WEIGHT = 120_000
"""Bytes of a wheel's payload; above the size from which pip reports progress."""


def wheel(name: str, version: str = "1.0", files: dict[str, bytes] | None = None) -> tuple[str, bytes]:
    """File name and bytes of a wheel; by default with a module and some noise that does not compress."""
    folder = f"{name}-{version}"
    contents = files or {f"{name}/__init__.py": b"X = 1\n", f"{name}/noise.bin": secrets.token_bytes(WEIGHT)}
    contents = contents | {
        f"{folder}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{folder}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{digest(data)},{len(data)}\n" for path, data in contents.items())
    contents[f"{folder}.dist-info/RECORD"] = f"{record}{folder}.dist-info/RECORD,,\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            archive.writestr(path, data)
    return f"{folder}-py3-none-any.whl", packed.getvalue()


def digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def kernel_wheel() -> tuple[str, bytes]:
    """What ipykernel brings, as far as a build cares."""
    spec = {"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python 3"}
    spec_path = "ipykernel-1.0.data/data/share/jupyter/kernels/python3/kernel.json"
    return wheel("ipykernel", files={"ipykernel_launcher.py": b"", spec_path: json.dumps(spec).encode()})


@dataclass
class Index:
    """A simple index that serves wheels, waiting between the pieces."""

    wheels: dict[str, bytes] = field(default_factory=dict)
    seconds_between_pieces: float = 0.0
    served: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, file: tuple[str, bytes]) -> str:
        """Serve a wheel; returns its lines for a frozen file."""
        name, data = file
        self.wheels[name] = data
        package, version = name.split("-")[:2]
        return (
            f"{package}=={version} \\\n    --hash=sha256:{hashlib.sha256(data).hexdigest()}\n    # size: {len(data)}\n"
        )

    def page(self, project: str) -> bytes:
        links = [f'<a href="/files/{name}">{name}</a>' for name in self.wheels if name.split("-")[0] == project]
        return "".join(links).encode()


@pytest.fixture
def index() -> Iterator[Index]:
    found = Index()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            last = self.path.strip("/").rsplit("/", 1)[-1]
            data = found.wheels.get(last) if self.path.startswith("/files/") else found.page(last)
            if not data:
                self.send_error(404)
                return
            found.served.append(last)
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/zip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a killed pip
                self.send(data)

        def send(self, data: bytes) -> None:
            for start in range(0, len(data), 32_768):
                self.wfile.write(data[start : start + 32_768])
                time.sleep(found.seconds_between_pieces if self.path.startswith("/files/") else 0)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def cache() -> Iterator[Path]:
    """A cache that every uid can reach (tmp_path is the owner's alone)."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-cache-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Builder:
    """Runs the build program as the backend does: a process with a progress file and a umask of 077."""

    index: Index
    cache: Path
    frozen: Path
    environment: dict[str, str]

    @property
    def path(self) -> Path:
        return self.cache / "environments" / "demo-0123456789abcdef"

    @property
    def progress(self) -> Path:
        return self.cache / "progress.json"

    def freeze(self, *pins: str) -> None:
        self.frozen.write_text("# frozen\n" + "".join(pins))

    def command(self) -> list[str]:
        program = [
            sys.executable,
            "-m",
            "jupyterhub_aiinfn.backends.local.build",
            "--image",
            "demo",
            "--title",
            "Demo of it",
        ]
        return [*program, "--frozen", str(self.frozen), "--path", str(self.path)]

    def start(self, prefix: tuple[str, ...] = (), progress: str = "progress.json") -> subprocess.Popen[str]:
        variables = self.environment | {"AIINFN_PROGRESS_FILE": str(self.cache / progress)}
        return subprocess.Popen(
            [*prefix, *self.command()],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0o077,
        )

    def run(self, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
        with self.start(prefix) as process:
            output, _ = process.communicate(timeout=120)
        return process.returncode, output


@pytest.fixture
def builder(index: Index, cache: Path, tmp_path: Path) -> Builder:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    settings = {
        "PIP_INDEX_URL": index.url,
        "PIP_CACHE_DIR": str(tmp_path / "pip"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "NO_PROXY": "127.0.0.1",
    }
    return Builder(index, cache, tmp_path / "requirements.txt", kept | settings)
