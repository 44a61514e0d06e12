#!/usr/bin/env python3
"""Freeze ``<image>/requirements.in`` into ``<image>/requirements.txt``: every pin, its wheels' hashes and its size.

    python images/freeze.py [--upgrade] [IMAGE ...]

A ``requirements.in`` with a line ``# extras: NAME ...`` also asks for what those extras of pyproject.toml ask for, in
the versions of requirements/dev.txt: what is tested is installed. An extra that is not there asks for nothing.

The result holds for Linux (x86_64 and aarch64) and CPython 3.11 to 3.13, names no package index, and has one comment
below each pin, ``# size: BYTES``: what its largest wheel for x86_64 weighs, so that a build knows how much there is to
download before it begins. uv resolves (from the index that uv or pip are configured for); pip installs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
ROOT = Path(__file__).resolve().parents[1]
TESTED = ROOT / "requirements" / "dev.txt"
FIRST_PYTHON = f"python_full_version >= '{PYTHONS[0]}'"


def main() -> int:
    """Freeze the images named on the command line, or all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of keeping today's")
    parser.add_argument("images", nargs="*", help="folders with a requirements.in; default: all beside this script")
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parent
    names = arguments.images or sorted(file.parent.name for file in here.glob("*/requirements.in"))
    for name in names:
        folder = here / name if (here / name).is_dir() else Path(name)
        pins = freeze(folder, upgrade=arguments.upgrade)
        print(f"{folder / 'requirements.txt'}: {pins} packages")
    return 0


def freeze(folder: Path, *, upgrade: bool = False) -> int:
    """Write ``folder/requirements.txt`` and return the number of its pins."""
    target = folder / "requirements.txt"
    requirements = folder / "requirements.in"
    constraints = today(TESTED) if of_extras(requirements) else "" if upgrade else today(target)
    packages = resolve(requirements, constraints)
    pins = list(filter(None, map(pin, packages)))
    heading = f"# Frozen from requirements.in by images/freeze.py; CPython {PYTHONS[0]} to {PYTHONS[-1]} on Linux.\n"
    target.write_text(heading + "".join(pins))
    return len(pins)


def today(target: Path) -> str:
    """The pins that are in force, as constraints for the resolver."""
    lines = target.read_text().splitlines() if target.exists() else []
    return "".join(line.removesuffix("\\").rstrip() + "\n" for line in lines if line[:1].isalnum())


def resolve(requirements: Path, constraints: str) -> list[dict[str, Any]]:
    """The packages of a resolution for all Pythons and machines, as a pylock file describes them."""
    environment = dict(os.environ)
    if "PIP_INDEX_URL" in environment:
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    with tempfile.TemporaryDirectory() as folder:
        kept, output = Path(folder, "constraints.txt"), Path(folder, "pylock.toml")
        kept.write_text(constraints)
        wanted = Path(folder, "requirements.in")
        wanted.write_text("\n".join([requirements.read_text(), *of_extras(requirements)]))
        command = [uv(), "pip", "compile", "--universal", "--quiet", "--no-header", "--only-binary", ":all:"]
        command += ["--python-version", PYTHONS[0], "--format", "pylock.toml", "-c", str(kept), "-o", str(output)]
        if subprocess.run([*command, str(wanted)], env=environment).returncode:
            raise SystemExit(f"{requirements} cannot be resolved; where today's pins are in the way, use --upgrade")
        return list(tomllib.loads(output.read_text())["packages"])


def of_extras(requirements: Path) -> list[str]:
    """What the project and those of its extras require that a ``requirements.in`` names; nothing if it names none."""
    named = re.findall(r"(?m)^# extras: (.+)$", requirements.read_text())
    if not named:
        return []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [line for extra in named[0].split() for line in extras.get(extra, [])]
    return [*project["dependencies"], *(line for line in wanted if Requirement(line).name != project["name"])]


def uv() -> str:
    """The uv beside this interpreter, or the one on the PATH."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"


def pin(package: dict[str, Any]) -> str | None:
    """The lines of one package; None for one that no Linux with CPython needs."""
    marker = package.get("marker", "")
    if not applies(marker):
        return None
    wheels = [wheel for wheel in package.get("wheels", []) if suits(wheel)]
    if not wheels:
        raise SystemExit(f"{package['name']} {package['version']} has no wheel for Linux; choose another version")
    hashes = sorted(wheel["hashes"]["sha256"] for wheel in wheels)
    condition = shortened(marker)
    head = f"{package['name']}=={package['version']}" + (f" ; {condition}" if condition else "")
    lines = [head, *(f"    --hash=sha256:{digest}" for digest in hashes)]
    return " \\\n".join(lines) + f"\n    # size: {max(sizes(wheels))}\n"


def applies(marker: str) -> bool:
    """Whether some environment that we promise needs the package."""
    return not marker or any(Marker(marker).evaluate(dict(environment)) for environment in environments())


def environments() -> Iterator[dict[str, str]]:
    """What markers are asked about: each Python on each machine."""
    for python in PYTHONS:
        for machine in MACHINES:
            yield {
                "python_version": python,
                "python_full_version": f"{python}.9",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "sys_platform": "linux",
                "os_name": "posix",
                "platform_system": "Linux",
                "platform_machine": machine,
                "extra": "",
            }


def shortened(marker: str) -> str:
    """The marker without what always holds here."""
    if not marker or all(Marker(marker).evaluate(dict(environment)) for environment in environments()):
        return ""
    return marker.removeprefix(f"{FIRST_PYTHON} and ")


def suits(wheel: dict[str, Any]) -> bool:
    """Whether a Linux with glibc and one of our Pythons can install the wheel."""
    tags = parse_wheel_filename(filename(wheel))[3]
    return any(good_python(tag.interpreter, tag.abi) and good_platform(tag.platform) for tag in tags)


def good_python(interpreter: str, abi: str) -> bool:
    """``py3``, the exact CPython, or the stable interface of an older one."""
    exact = {"cp" + python.replace(".", "") for python in PYTHONS}
    pure, stable = interpreter.startswith("py3"), abi == "abi3" and interpreter.startswith("cp3")
    return pure or stable or (interpreter in exact and abi != f"{interpreter}t")


def good_platform(platform: str) -> bool:
    """``any`` or a glibc Linux on one of our machines."""
    return platform == "any" or ("manylinux" in platform and platform.endswith(MACHINES))


def sizes(wheels: list[dict[str, Any]]) -> list[int]:
    """Bytes of the wheels that an x86_64 would take (of all, if none is for it)."""
    ours = [wheel["size"] for wheel in wheels if not filename(wheel).endswith("aarch64.whl")]
    return ours or [wheel["size"] for wheel in wheels]


def filename(wheel: dict[str, Any]) -> str:
    """The wheel's file name."""
    return unquote(str(wheel["url"]).rsplit("/", 1)[-1])


if __name__ == "__main__":
    sys.exit(main())
