"""Build, verify and name the container images, each once: what is built and verified is known by its key.

python -m scripts.container_images [--base IMAGE] [--fresh-base] [--builder NAME] [NAME ...]
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jupyterhub_aiinfn import __version__

from .base import made_base
from .builders import Builder, find_builder
from .plan import Image, ImagesError, chosen, files_of, files_of_wheel, key_of, pip_configuration, question, tag
from .report import Record, read_records, table, write_records
from .store import bytes_of, outdated, read_used, sentence, stored, take_out, write_used

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyterhub-aiinfn" / "images"
KEPT_DAYS = 2.0
"""Days for which an image stays in buildah's store after a run wanted it (arbitrary): several checkouts share it."""
STAGES_KEPT = 10
"""So many times as long stages of builds stay (arbitrary): they are old because builds go on from them, and small."""
CERTIFICATES = "/run/certificates.crt"
"""Where a build sees the certificates of the machine."""


@dataclass(frozen=True)
class Work:
    """What one run builds with."""

    builder: Builder
    base: str
    source: str
    wheel: Path
    secrets: dict[str, Path]
    records: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is asked for and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make images", description="Build and verify the container images.")
    parser.add_argument("--base", default="", help="an image of Debian 13; default: made from Debian's packages")
    parser.add_argument("--fresh-base", action="store_true", help="make the base again, with today's packages")
    parser.add_argument("--builder", default="", help="buildah, podman or docker; default: the first that is here")
    parser.add_argument("--source", default="", help="address of the sources for the label; default: git's origin")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where buildah keeps images, and what was measured")
    parser.add_argument(
        "--keep-days", type=days, default=KEPT_DAYS, help="for how long buildah keeps images that no run wants"
    )
    parser.add_argument("--only-clean", action="store_true", help="build nothing; take out what is not kept any longer")
    parser.add_argument("images", nargs="*", metavar="NAME", help="default: all")
    given = parser.parse_args(arguments)
    os.umask(0o022)
    try:
        images = chosen(given.images)
        builder = find_builder(given.builder, given.cache)
        given.cache.mkdir(parents=True, exist_ok=True)
        with alone(given.cache), tempfile.TemporaryDirectory(prefix="aiinfn-images-") as folder:
            records: dict[str, Record] = {}
            if not given.only_clean:
                work = prepared(builder, given, Path(folder))
                records = build_all(images, work, Path(folder))
                note_use(given.cache, [tag(one.name, records[one.name].key) for one in images])
            clean(builder, given.cache, timedelta(days=given.keep_days))
    except ImagesError as error:
        sys.stderr.write(f"images: {error}\n")
        return 1
    if records:
        print(table([records[image.name] for image in images]))
    return 0


def days(text: str) -> float:
    """A number of days, as it is given in words of a command."""
    if 0 <= (found := float(text)) <= 3650:
        return found
    raise ValueError(text)


def note_use(cache: Path, names: Sequence[str]) -> None:
    """Write down that these images were wanted now."""
    now = datetime.now(UTC)
    write_used(cache / "used.json", read_used(cache / "used.json") | dict.fromkeys(names, now))


def clean(builder: Builder, cache: Path, kept_for: timedelta) -> None:
    """Take out of buildah's store what no run has wanted for so long; other builders have stores of people's own.

    The newest of each name stays, however old it is. The caller is alone on the cache: no build is under way.
    """
    if builder.name != "buildah":
        return
    records, used = read_records(cache / "images.json"), read_used(cache / "used.json")
    newest = {tag(name, record.key) for name, record in records.items()}
    found, now = stored(builder), datetime.now(UTC)
    size = bytes_of(cache)
    old = outdated(found, newest, used, records.values(), now - kept_for, now - STAGES_KEPT * kept_for)
    gone = take_out(builder, old)
    there = {name for image in stored(builder) for name in image.names}
    write_used(cache / "used.json", {name: moment for name, moment in used.items() if name in there})
    if words := sentence(gone, size - bytes_of(cache)):
        print(words, flush=True)


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Let a second run on the same cache wait for the first: it then finds everything built."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepared(builder: Builder, given: argparse.Namespace, folder: Path) -> Work:
    """Base, wheel, and pip's configuration in files that only this run has."""
    begun = time.monotonic()
    base = given.base or made_base(builder, os.environ, again=given.fresh_base)
    print(f"base: {base} ({time.monotonic() - begun:.1f} s)", flush=True)
    return Work(
        builder,
        base,
        given.source or origin(),
        made_wheel(folder / "wheel"),
        secrets(folder),
        given.cache / "images.json",
    )


def origin() -> str:
    """Where the sources are, as git says it; without a name and a password in it, and not a folder of this machine."""
    said = subprocess.run(
        ["git", "-C", str(ROOT), "config", "remote.origin.url"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return said if said.startswith("https://") and "@" not in said else "unknown"


def made_wheel(folder: Path) -> Path:
    """The wheel of this checkout, with the assets of JupyterLab that `make setup` built."""
    if not (ROOT / "jupyterhub_aiinfn/labextension/static/style.js").is_file():
        raise ImagesError("the JupyterLab extension is not built here; run `make setup`")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check"]
    done = subprocess.run([*command, "--outdir", str(folder), str(ROOT)], capture_output=True, text=True)
    if done.returncode:
        raise ImagesError(f"the wheel cannot be built:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return next(folder.glob("*.whl"))


def secrets(folder: Path) -> dict[str, Path]:
    """What a build sees while pip runs, and no layer keeps: pip's configuration and the machine's certificates."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    found = {}
    named = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or ""
    if named and Path(named).is_file():
        found["certificates"] = Path(named)
    found["pip"] = folder / "pip.conf"
    found["pip"].touch(mode=0o600)
    found["pip"].write_text(pip_configuration(listed, CERTIFICATES if "certificates" in found else ""))
    return found


def build_all(images: Sequence[Image], work: Work, folder: Path) -> dict[str, Record]:
    """Build the images that are not there; what is known about each of them."""
    records, keys = read_records(work.records), {"": ""}
    for image in images:
        files = files_of(ROOT / "images" / image.name)
        wheel = files_of_wheel(work.wheel) if image.wheel else {}
        keys[image.name] = key_of(files | wheel, work.base, work.source, __version__, keys[image.parent])
        name = tag(image.name, keys[image.name])
        known = records.get(image.name)
        if known is not None and known.key == keys[image.name] and work.builder.has(name):
            print(f"{image.name}: unchanged", flush=True)
            continue
        parent = tag(image.parent, keys[image.parent]) if image.parent else ""
        records[image.name] = build_one(image, work, context(image, work, folder), keys[image.name], parent)
        write_records(work.records, records)
    return records


def context(image: Image, work: Work, folder: Path) -> Path:
    """The folder that is built: the image's own, and the wheel."""
    made = folder / image.name
    shutil.copytree(ROOT / "images" / image.name, made)
    if image.wheel:
        shutil.copy(work.wheel, made)
    return made


def build_one(image: Image, work: Work, folder: Path, key: str, parent: str) -> Record:
    """Build an image and prove that it works; only then it gets its names."""
    print(f"{image.name}: building …", end="", flush=True)
    unproven, begun = tag(image.name, f"{key}-unproven"), time.monotonic()
    arguments = {"BASE": work.base, "VERSION": __version__, "SOURCE": work.source} | ({"LAB": parent} if parent else {})
    work.builder.build(folder, unproven, arguments, work.secrets)
    built = time.monotonic()
    print(f" {built - begun:.1f} s, verifying …", end="", flush=True)
    size = inspected(image, work.builder, unproven)
    said = [work.builder.inside(unproven, program) for program in image.verify]
    verified = time.monotonic()
    work.builder.rename(unproven, [tag(image.name, key), tag(image.name, __version__)])
    print(
        f" {verified - built:.1f} s\n" + "".join(f"    {line}\n" for each in said for line in each.splitlines()), end=""
    )
    return Record(
        name=image.name,
        key=key,
        bytes=size,
        build_seconds=round(built - begun, 1),
        verify_seconds=round(verified - built, 1),
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        builder=work.builder.name,
    )


def inspected(image: Image, builder: Builder, name: str) -> int:
    """The size of an image, in bytes; raises ImagesError when it holds what it may not."""
    *faults, size = builder.inside(name, "/bin/sh", "-c", question(image)).split("\n")[:-1]
    if faults:
        raise ImagesError(f"the image {image.name} is not as it must be: {'; '.join(faults)}")
    return int(size)


if __name__ == "__main__":
    sys.exit(main())
