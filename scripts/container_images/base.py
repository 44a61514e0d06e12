"""The base image, made from Debian's packages where no registry can be reached: a small Debian 13."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .builders import LAST_LINES, Builder
from .plan import ImagesError, key_of, tag

SUITE = "trixie"
NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
)
"""Folders that are emptied, and stay so: what people read about programs is not read in a container."""
EXCLUDE = "".join(f"path-exclude=/{folder}/*\n" for folder in NOT_NEEDED if folder.startswith("usr/"))
CLEAN = "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""As in Debian's own images: an image that adds to it would otherwise hide the system's programs in a pod."""
CONTAINERFILE = f"""FROM scratch
ADD rootfs.tar /
RUN apt-get update && apt-get upgrade --yes && {CLEAN}
ENV PATH={PATH}
CMD ["/bin/bash"]
"""


def base_key(mirror: str) -> str:
    """The key of the base: what it is made by, and from where."""
    recipe = {"Containerfile": CONTAINERFILE.encode(), "exclude": EXCLUDE.encode(), "suite": SUITE.encode()}
    return key_of(recipe, mirror)


def made_base(builder: Builder, variables: Mapping[str, str], *, again: bool) -> str:
    """The name of the base image, making it first where it is not there or is wanted ``again``."""
    mirror = variables.get("DEBIAN_MIRROR", "")
    name = tag("debian", base_key(mirror))
    if builder.has(name) and not again:
        return name
    with tempfile.TemporaryDirectory(prefix="aiinfn-base-", dir=variables.get("TMPDIR")) as folder:
        root = Path(folder, "root")
        _bootstrap(root, mirror)
        _slim(root)
        context = Path(folder, "context")
        context.mkdir()
        subprocess.run(["tar", "-C", str(root), "-cf", str(context / "rootfs.tar"), "."], check=True)
        (context / "Containerfile").write_text(CONTAINERFILE)
        builder.build(context, name, {}, {})
    return name


def _bootstrap(root: Path, mirror: str) -> None:
    """Debian's smallest system; the mirror is debootstrap's own when nobody names one."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise ImagesError(
            f"making the base from Debian's packages needs root and debootstrap: name an image of Debian 13 "
            f"instead (BASE=debian:{SUITE}-slim), or run `make setup` as root"
        )
    command = ["debootstrap", "--variant=minbase", SUITE, str(root), *([mirror] if mirror else [])]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        said = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-LAST_LINES:])
        raise ImagesError(f"`{' '.join(command)}` failed:\n{said}")


def _slim(root: Path) -> None:
    """Take out what a container does not need, and let apt bring security updates from the same mirror."""
    for name in NOT_NEEDED:
        for path in (root / name).iterdir() if (root / name).is_dir() else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (root / "etc/dpkg/dpkg.cfg.d/without-documentation").write_text(EXCLUDE)
    sources = root / "etc/apt/sources.list"
    kind, mirror, suite, *components = sources.read_text().split()
    updates = f"{kind} {mirror.rstrip('/')}-security {suite}-security {' '.join(components)}\n"
    sources.write_text(sources.read_text().rstrip() + "\n" + updates)
