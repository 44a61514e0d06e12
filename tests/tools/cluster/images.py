"""The images of the cluster's own pods, made of programs that are here: nothing is pulled, no builder is needed.

All are written into one archive in the format of ``docker save``, each with one layer.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .build import CACHE, TOOLS
from .errors import ClusterError, last_lines

PAUSE = "aiinfn.test/pause:1"
BUSYBOX = "aiinfn.test/busybox:1"
COREDNS = "aiinfn.test/coredns:1"
KUEUE = "aiinfn.test/kueue:1"
NOBODY = "65532:65532"
ACCOUNTS = "root:x:0:0:root:/:/bin/sh\nperson:x:1000:1000::/tmp:/bin/sh\nnobody:x:65532:65532:nobody:/tmp:/bin/false\n"
BUSYBOX_PROGRAM = Path("/bin/busybox")
"""The statically linked one of Debian's package busybox-static."""


@dataclass(frozen=True)
class Image:
    """What an image holds: files by their path in it, links, and what it runs as."""

    name: str
    entrypoint: tuple[str, ...]
    files: Mapping[str, Path]
    user: str = NOBODY
    links: Mapping[str, str] = field(default_factory=dict)


def images(programs: Mapping[str, Path]) -> list[Image]:
    """The images of the cluster: of pods' first process, of DNS, of Kueue, and one to test with."""
    shell = {f"bin/{applet}": "busybox" for applet in _applets() if applet != "busybox"}
    return [
        Image(PAUSE, ("/pause",), {"pause": pause()}),
        Image(BUSYBOX, (), {"bin/busybox": BUSYBOX_PROGRAM}, user="1000:1000", links=shell),
        Image(COREDNS, ("/coredns",), {"coredns": programs["coredns"]}),
        Image(KUEUE, ("/manager",), {"manager": programs["kueue"]}),
    ]


def pause(cache: Path = CACHE) -> Path:
    """The program that holds a pod's namespaces, compiled once."""
    source = TOOLS / "pause" / "pause.c"
    folder = cache / f"cluster-pause-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    program = folder / "pause"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "part"
        command = ["cc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o", str(part), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(f"`{' '.join(command)}` failed:\n{last_lines(done.stderr)}")
        part.rename(program)
    return program


def write_archive(archive: Path, contents: Sequence[Image]) -> None:
    """Write images into one file that ``ctr images import`` reads."""
    with tarfile.open(archive, "w") as out:
        entries = []
        for image in contents:
            with _layer(image, archive.with_suffix(".layer")) as layer:
                digest = hashlib.file_digest(layer, "sha256").hexdigest()
                _add_stream(out, f"{digest}.tar", layer)
            config = _config(image, digest)
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(out, name, config)
            entries.append({"Config": name, "RepoTags": [image.name], "Layers": [f"{digest}.tar"]})
        _add(out, "manifest.json", json.dumps(entries).encode())


def _config(image: Image, digest: str) -> bytes:
    run = {"User": image.user, "Entrypoint": list(image.entrypoint), "Env": ["PATH=/bin"], "WorkingDir": "/"}
    root = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    return json.dumps({"architecture": _architecture(), "os": "linux", "config": run, "rootfs": root}).encode()


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _layer(image: Image, path: Path) -> io.BufferedRandom:
    """The image's one layer in an unnamed file, read from its start."""
    stream = path.open("w+b")
    path.unlink()
    with tarfile.open(fileobj=stream, mode="w") as layer:
        _add_folder(layer, "tmp", 0o1777)
        _add(layer, "etc/passwd", ACCOUNTS.encode())
        for name, source in image.files.items():
            with source.open("rb") as content:
                _add_stream(layer, name, content, mode=0o755)
        for name, target in image.links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            layer.addfile(link)
    stream.seek(0)
    return stream


def _add_folder(archive: tarfile.TarFile, name: str, mode: int) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, mode
    archive.addfile(folder)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _add_stream(archive: tarfile.TarFile, name: str, stream: io.BufferedIOBase, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = mode, stream.seek(0, io.SEEK_END)
    stream.seek(0)
    archive.addfile(entry, stream)


def _applets() -> Iterator[str]:
    """The names that busybox acts as; raises ClusterError when it is missing or is one that a pod could not run."""
    if shutil.which(str(BUSYBOX_PROGRAM)) is None:
        raise ClusterError(f"{BUSYBOX_PROGRAM} is missing: run `make setup`, which installs busybox-static")
    listed = subprocess.run([str(BUSYBOX_PROGRAM), "--list"], capture_output=True, text=True, check=True)
    yield from listed.stdout.split()
