"""`aiinfn env` as a process in a home of its own, with a real pip and packages that pip can find."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from jupyterhub_aiinfn.backends.local.shared_rights import Rights, repair, share
from jupyterhub_aiinfn.singleuser.environments.environments import OwnEnvironments
from tests.own_session import SITE, OwnSession, make_image

from .conftest import Index, wheel

pytestmark = pytest.mark.slow

PRINT = "import one, base_tools; print(one.X, base_tools.VERSION)"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image(tmp_path_factory.mktemp("images") / "python-0123")


@pytest.fixture
def session(tmp_path: Path, image: Path) -> OwnSession:
    (tmp_path / "home").mkdir()
    found = OwnSession(tmp_path / "home", image, tmp_path / "wheels")
    found.add("one")
    return found


@pytest.fixture
def slow(session: OwnSession, index: Index) -> OwnSession:
    """A session whose index takes its time."""
    index.add(wheel("one"))
    index.seconds_between_pieces = 3.0
    settings = {"PIP_INDEX_URL": index.url, "PIP_FIND_LINKS": "", "PIP_NO_INDEX": "", "NO_PROXY": "127.0.0.1"}
    return replace(session, more=settings | {"PIP_NO_CACHE_DIR": "1"})


def wait_until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.03)


def test_a_list_while_environments_come_and_go(tmp_path: Path) -> None:
    found = OwnEnvironments({"HOME": str(tmp_path)})
    place, ended = found.places["~"].folder, threading.Event()
    place.mkdir(parents=True)

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(50):
                (place / f"env{number}").mkdir()
            for number in range(50):
                (place / f"env{number}").rmdir()

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        counts = {len(found.described()) for _ in range(100)}
    finally:
        ended.set()
        other.join()
    assert len(counts) > 1  # they did come and go meanwhile


def state(session: OwnSession, name: str) -> str:
    found = re.search(rf"(?m)^{name}\s+\S+\s+(\S+)", session.done("list"))
    return found[1] if found else ""


def test_an_environment_sees_the_image_adds_its_own_and_copies_nothing(session: OwnSession) -> None:
    assert "no environment yet" in session.done("list")
    assert "tools is ready" in session.done("create", "tools", "one", "--from", "python")
    assert session.evaluate("tools", PRINT) == "1 1.0"
    own = session.folder("tools") / "venv" / SITE
    assert not list(own.glob("base_tools*"))
    assert not list(own.glob("pip*")), "the image has one"
    line = session.done("list").splitlines()[1]
    assert line.split() == ["tools", "Python", "ready", line.split()[3], "yes", "private"]


def test_own_versions_win_and_the_image_stays_as_it_is(session: OwnSession, image: Path) -> None:
    session.add("base_tools", "2.0", {"base_tools.py": b"VERSION = '2.0'\n"})
    session.done("create", "tools")
    assert session.evaluate("tools", "import base_tools; print(base_tools.VERSION)") == "1.0"
    session.done("install", "tools", "base_tools>=2")
    assert session.evaluate("tools", "import base_tools; print(base_tools.VERSION)") == "2.0"
    assert (image / SITE / "base_tools-1.0.dist-info").exists()


@pytest.mark.slow
def test_a_lock_file_makes_the_same_again_and_refuses_anything_else(session: OwnSession, tmp_path: Path) -> None:
    session.done("create", "tools", "one")
    lock = tmp_path / "lock.txt"
    lock.write_text(session.done("export", "tools"))
    assert re.search(r"(?m)^one==1\.0 \\\n    --hash=sha256:[0-9a-f]{64}$", lock.read_text())
    assert "#   base-tools==1.0" in lock.read_text()
    session.add("one", "1.1")
    session.done("create", "again", "--from-lock", str(lock))
    assert session.done("export", "again").splitlines()[1:] != []
    assert "one==1.0" in session.done("export", "again")
    (session.wheels / "one-1.0-py3-none-any.whl").write_bytes(wheel("one")[1])  # the same version, other content
    said = session.refused("create", "third", "--from-lock", str(lock))
    assert "what was downloaded is not what the lock file names" in said
    assert state(session, "third") == ""


@pytest.mark.slow
def test_what_pip_installed_in_a_notebook_is_exported_and_comes_back(session: OwnSession, tmp_path: Path) -> None:
    session.done("create", "tools", "one")
    session.add("two")
    pip = session.folder("tools") / "venv/bin/pip"
    done = subprocess.run([pip, "install", "two"], env=session.variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"(?m)^two==1\.0 \\\n    --hash=sha256:", session.done("export", "tools"))
    newer = replace(session, image_prefix=make_image(tmp_path / "python-4567", version="1.5"))
    assert state(newer, "tools") == "base-changed"
    newer.done("repair", "tools")
    code = "import one, two, base_tools; print(one.X, two.X, base_tools.VERSION)"
    assert newer.evaluate("tools", code) == "1 1 1.5"


def test_a_session_with_another_image_says_which_it_needs(session: OwnSession, tmp_path: Path) -> None:
    session.done("create", "tools", "one")
    other = replace(session, image="gpu", image_prefix=make_image(tmp_path / "gpu-89ab", "GPU"))
    assert state(other, "tools") == "other-image"
    said = other.refused("install", "tools", "one")
    assert "belongs to the image Python, and this session runs GPU" in said
    assert 'runs the image "gpu" and sees no other' in other.refused("create", "x", "--from", "python")


def test_without_an_image_there_is_a_sentence(session: OwnSession) -> None:
    assert "this session has no image" in replace(session, image_prefix=Path("/nonexistent")).refused("create", "x")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["create", "../x"], '"../x" cannot be the name of an environment'),
        (["create", "x", "--", "-r/etc/passwd"], "is not a package"),
        (["create", "x", "--project", "lhcb"], "this session has no project folder"),
        (["create", "x", "there-is-no-such-package"], "the package index has no such package"),
        (["create", "x", "--from-lock", "/dev/zero"], "cannot be read as a list of packages"),
        (["install", "x", "one"], 'there is no environment "x"'),
        (["install", "lhcb/x", "one"], "this session has no project folder"),
        (["remove", "x", "--yes"], 'there is no environment "x"'),
        (["export", "../../etc"], "this session has no project folder"),
        (["use", "x"], 'there is no environment "x"'),
    ],
)
def test_refusals_are_sentences_and_leave_nothing(session: OwnSession, words: list[str], sentence: str) -> None:
    assert sentence in session.refused(*words)
    assert session.done("list").startswith("no environment yet")


def test_of_two_at_the_same_time_one_makes_it(session: OwnSession) -> None:
    both = [session.start("create", "tools", "one") for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    assert any("your home has an environment tools already" in text for text in said)
    assert session.evaluate("tools", PRINT) == "1 1.0"
    assert "already" in session.refused("create", "tools")


@pytest.mark.slow
def test_a_killed_creation_is_unfinished_and_can_be_repaired_or_removed(slow: OwnSession, session: OwnSession) -> None:
    with slow.start("create", "tools", "one") as process:
        wait_until(lambda: (slow.folder("tools") / ".building/lib").exists())
        wait_until(lambda: state(slow, "tools") == "working")
        assert "is being worked on" in slow.refused("repair", "tools")
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: state(session, "tools") == "unfinished")  # pip, which held the lock too, has died with it
    assert "tools is unfinished" in session.refused("install", "tools", "one")
    session.done("repair", "tools")
    assert session.evaluate("tools", PRINT) == "1 1.0"
    session.done("remove", "tools", "--yes")
    assert not session.folder("tools").exists()
    assert not list((session.data / "kernels").iterdir())


def test_a_stopped_creation_leaves_nothing(slow: OwnSession) -> None:
    with slow.start("create", "tools", "one") as process:
        wait_until(lambda: (slow.folder("tools") / ".building/lib").exists())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert not slow.folder("tools").exists()


@pytest.mark.slow
def test_a_repair_that_fails_leaves_what_was_there(session: OwnSession, tmp_path: Path) -> None:
    session.done("create", "tools", "one")
    newer = replace(session, image_prefix=make_image(tmp_path / "python-4567"))
    shutil.rmtree(session.wheels)
    assert "could not be installed" in newer.refused("repair", "tools")
    assert session.evaluate("tools", PRINT) == "1 1.0"
    assert sorted(path.name for path in session.folder("tools").iterdir()) == [".lock", "environment.json", "venv"]


@pytest.mark.slow
def test_a_record_that_cannot_be_read_is_damaged_and_can_be_repaired_or_removed(session: OwnSession) -> None:
    session.done("create", "tools", "one")
    record = session.folder("tools") / "environment.json"
    for content in ("", "[]", "{", '{"image": 3}', "\x00", '{"image": "' + "x" * 2_000_000 + '"}'):
        record.write_text(content)
        assert state(session, "tools") == "damaged", content[:20]
    record.unlink()
    os.mkfifo(record)  # reading it would never end
    assert state(session, "tools") == "damaged"
    session.done("repair", "tools")
    assert session.evaluate("tools", PRINT) == "1 1.0"
    record.write_text("")
    session.done("remove", "tools", "--yes")
    assert not session.folder("tools").exists()


def test_links_are_no_environments(session: OwnSession, tmp_path: Path) -> None:
    session.done("create", "tools")
    (tmp_path / "precious").mkdir()
    session.folder("link").symlink_to(tmp_path / "precious")
    assert state(session, "link") == ""
    assert 'there is no environment "link"' in session.refused("remove", "link", "--yes")
    project = tmp_path / "project"
    project.mkdir()
    (project / ".aiinfn").symlink_to(tmp_path / "precious")
    shared = replace(session, more={"AIINFN_PROJECT": "lhcb", "AIINFN_PROJECT_FOLDER": str(project)})
    assert "is a link and not a folder" in shared.refused("create", "x", "--project", "lhcb")
    assert not list((tmp_path / "precious").iterdir())


@pytest.fixture
def small_disk(session: OwnSession) -> Iterator[OwnSession]:
    """A home with room for three megabytes."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", session.home], check=True)
    yield session
    subprocess.run(["umount", "--lazy", session.home], check=True)


def fill(file: Path) -> None:
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


@pytest.mark.slow
@pytest.mark.root
def test_a_full_home_is_said_in_words_and_something_can_be_removed(small_disk: OwnSession) -> None:
    small_disk.done("create", "tools")
    small_disk.add("large", files={"large.bin": os.urandom(4_000_000)})
    said = small_disk.refused("install", "tools", "large")
    assert "full; make room" in said
    assert state(small_disk, "tools") == "ready"
    fill(small_disk.home / "filling")
    assert "your home is full; make room and try again" in small_disk.refused("create", "more")
    assert state(small_disk, "more") == ""
    small_disk.done("remove", "tools", "--yes")
    assert not small_disk.folder("tools").exists()


@pytest.mark.slow
def test_packages_of_the_user_site_never_leak_in(session: OwnSession, image: Path) -> None:
    leak = session.home / ".local" / SITE
    leak.mkdir(parents=True)
    (leak / "leaked.py").write_text("")
    (leak / "leaks.pth").write_text("import sys; print('leaked')\n")
    session.done("create", "tools")
    more = {"PYTHONPATH": str(leak), "PYTHONUSERBASE": str(session.home / ".local")}
    for variables in (session.variables, {key: session.variables[key] for key in ("HOME", "PATH")}):
        for python in (session.python("tools"), image / "bin/python"):
            command = [python, "-c", "import importlib.util as u; print(u.find_spec('leaked'))"]
            done = subprocess.run(command, env=variables, capture_output=True, text=True)
            assert done.stdout == "None\n", (python, done.stdout, done.stderr)
    session.more = more
    assert "leaked" not in session.done("install", "tools", "one")
    assert session.done("list").count("leaked") == 0


def project_of(session: OwnSession, folder: Path, person: str) -> OwnSession:
    """The session of a member, who sees the project folder at a path of their own."""
    home = folder / person
    (home / "projects").mkdir(parents=True)
    more = {"AIINFN_PROJECTS_FOLDER": str(home / "projects"), "AIINFN_PROJECT": "lhcb"}
    return replace(session, home=home, person=person, more=more)


@pytest.mark.slow
def test_a_shared_environment_works_for_who_wants_it_at_another_path(session: OwnSession, tmp_path: Path) -> None:
    session.add(
        "tool", files={"tool.py": b"def main(): print('works')\n", "tool-1.0.dist-info/entry_points.txt": ENTRY}
    )
    alice, bob = project_of(session, tmp_path, "alice"), project_of(session, tmp_path, "bob")
    shared = alice.home / "projects/lhcb"
    shared.mkdir()
    assert "lhcb/tools is ready" in alice.done("create", "tools", "one", "tool", "--project", "lhcb")
    shared.rename(bob.home / "projects/lhcb")
    assert not (bob.data / "kernels").exists(), "nobody's code is a kernel unasked"
    assert "lhcb/tools  Python  ready" in re.sub("  +", "  ", bob.done("list"))
    bob.done("use", "lhcb/tools")
    specs = KernelSpecManager(kernel_dirs=[str(bob.data / "kernels")])
    assert specs.get_kernel_spec("aiinfn.lhcb.tools").display_name == "tools of lhcb (from Python)"
    program = bob.home / "projects/lhcb/.aiinfn/environments/tools/venv/bin/tool"
    done = subprocess.run([program], env=bob.variables, capture_output=True, text=True)
    assert done.stdout == "works\n", done.stderr
    bob.done("stop-using", "lhcb/tools")
    assert specs.find_kernel_specs().keys() & {"aiinfn.lhcb.tools"} == set()


ENTRY = b"[console_scripts]\ntool = tool:main\n"


@pytest.mark.slow
def test_sharing_is_for_reading_until_it_is_said_otherwise(session: OwnSession, tmp_path: Path) -> None:
    alice = project_of(session, tmp_path, "alice")
    (alice.home / "projects/lhcb").mkdir()
    alice.done("create", "tools", "one", "--project", "lhcb")
    folder = alice.home / "projects/lhcb/.aiinfn/environments/tools"

    def modes(bits: int) -> set[bool]:
        paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
        return {bool(path.stat().st_mode & bits) for path in paths}

    assert (modes(0o040), modes(0o020)) == ({True}, {False})
    alice.done("share", "lhcb/tools", "--writable")
    assert modes(0o020) == {True}
    assert os.access(folder / "venv/bin/pip", os.X_OK)
    alice.done("unshare", "lhcb/tools")
    assert folder.stat().st_mode & 0o077 == 0o005, "others cannot enter the project folder"
    alice.done("share", "lhcb/tools")
    assert (modes(0o040), modes(0o020)) == ({True}, {False})
    assert "is in your home, which nobody else can enter" in share_own(alice)


@pytest.mark.root
@pytest.mark.slow
def test_the_platform_s_repair_opens_no_environment_to_others(session: OwnSession, tmp_path: Path) -> None:
    """In a folder with setgid and default ACLs, where the platform gives members what the owner has."""
    alice = project_of(session, tmp_path, "alice")
    project, rights = alice.home / "projects/lhcb", Rights(95_000)
    project.mkdir()
    share(project, rights)
    alice.done("create", "tools", "one", "--project", "lhcb")
    folder = project / ".aiinfn/environments/tools"

    def bits() -> int:
        """What members have somewhere in it: with access lists the group's bits are what all of them are cut to."""
        paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
        return reduce(or_, (path.stat().st_mode & 0o070 for path in paths))

    def repaired() -> int:
        (project / "loose").write_text("")
        (project / "loose").chmod(0o600)
        assert repair(project, rights).complete
        assert (project / "loose").stat().st_mode & 0o777 == 0o660, "everything else is shared as always"
        return bits()

    assert (bits(), repaired()) == (0o050, 0o050)
    session.add("two")
    alice.done("install", "lhcb/tools", "two")
    assert repaired() == 0o050
    alice.done("share", "lhcb/tools", "--writable")
    alice.done("repair", "lhcb/tools")
    assert repaired() == 0o070
    assert (folder / "venv").stat().st_mode & 0o020, "made again, it is still for all to change"
    alice.done("unshare", "lhcb/tools")
    repaired()
    assert folder.stat().st_mode & 0o070 == 0, "a locked door"


@pytest.mark.root
@pytest.mark.slow
def test_members_make_their_own_and_move_nobody_elses(session: OwnSession, tmp_path: Path) -> None:
    alice = project_of(session, tmp_path, "alice")
    project = alice.home / "projects/lhcb"
    project.mkdir()
    share(project, Rights(95_000))
    alice.done("create", "tools", "one", "--project", "lhcb")
    environments = project / ".aiinfn/environments"

    def member(*words: str) -> int:
        rights = ["setpriv", "--reuid", "94000", "--regid", "94000", "--groups", "95000"]
        return subprocess.run([*rights, *words], cwd=environments, capture_output=True, check=False).returncode

    assert member("mkdir", "own") == 0
    assert [member("mv", "tools", "away"), member("rm", "-r", "tools")] == [1, 1]
    assert "ready" in alice.done("list")
    assert member("rmdir", "own") == 0


@pytest.mark.slow
def test_a_rescue_session_finds_and_removes_the_kernels_of_the_home(session: OwnSession, tmp_path: Path) -> None:
    session.done("create", "tools")
    rescue = replace(session, more={"JUPYTER_DATA_DIR": str(tmp_path / "scratch")})
    code = (
        "from jupyter_client.kernelspec import KernelSpecManager\n"
        "from jupyterhub_aiinfn.singleuser.environments import kernels\n"
        "specs = KernelSpecManager(kernel_dirs=[])\n"
        "kernels.show_in(specs); kernels.show_in(specs)\n"
        "print(len(specs.kernel_dirs), *specs.find_kernel_specs(), kernels.is_used('~', 'tools'))"
    )
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, env=rescue.variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "2"), done.stderr
    assert {"aiinfn-tools", "True"} <= set(done.stdout.split())
    rescue.done("remove", "tools", "--yes")
    assert not (session.data / "kernels/aiinfn-tools").exists(), "no dead kernel stays"


def share_own(session: OwnSession) -> str:
    session.done("create", "mine")
    return session.refused("share", "mine")


def run_cell(session: OwnSession, kernel: str, code: str) -> str:
    """What a cell answers in the kernel of that name, started as JupyterLab starts it."""
    sockets = tempfile.mkdtemp(prefix="k")  # short: a socket's path has a hundred characters at most
    manager = KernelManager(kernel_name=kernel, transport="ipc", ip=f"{sockets}/k")
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(session.data / "kernels")])
    manager.start_kernel(env=session.variables, cwd=str(session.home))
    client = manager.blocking_client()
    client.start_channels()
    said: list[str] = []

    def hear(message: dict) -> None:
        content = message["content"]
        said.extend(str(content[key]) for key in ("text", "evalue") if key in content)

    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(code, timeout=60, output_hook=hear)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        shutil.rmtree(sockets)
    return "".join(said).strip()


@pytest.mark.slow
def test_the_kernel_runs_and_says_why_when_it_cannot(session: OwnSession, tmp_path: Path) -> None:
    session.done("create", "tools", "one")
    spec = json.loads((session.data / "kernels/aiinfn-tools/kernel.json").read_text())
    assert spec["display_name"] == "tools (from Python)"
    assert str(tmp_path) not in json.dumps(spec), "homes move"
    code = f"import os, shutil; {PRINT}; print(os.environ['PYTHONNOUSERSITE'], shutil.which('pip'))"
    pip = session.folder("tools") / "venv/bin/pip"
    assert run_cell(session, "aiinfn-tools", code) == f"1 1.0\n1 {pip}"
    newer = replace(session, image_prefix=make_image(tmp_path / "python-4567"))
    said = run_cell(newer, "aiinfn-tools", "1 + 1")
    assert said.startswith("tools was made on an earlier state of the image Python; `aiinfn env repair tools`")
    shutil.rmtree(session.folder("tools"))
    assert 'there is no environment "tools"' in run_cell(session, "aiinfn-tools", "1 + 1")
