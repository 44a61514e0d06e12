"""What a session could do to its home to keep files that no quota counts and no backup copies: all of it is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.backends.local.uids import uid_of
from tests import filesystems

from .test_verbs import shell, spec, until_ended

pytestmark = pytest.mark.slow

PROGRAM = """
import ctypes, errno, fcntl, os, struct
home = os.open(os.path.expanduser("~"), os.O_RDONLY)
def attempt(what, call):
    try:
        call()
        print(what, "done")
    except OSError as error:
        print(what, errno.errorcode[error.errno])
def ask(request, argument):
    return lambda: fcntl.ioctl(home, request, bytearray(argument))
def named(name, descriptor=0):
    return struct.pack("=q4088s", descriptor, name)
def named_2(name, descriptor=0):
    return struct.pack("=qQQ32x4040s", descriptor, 0, 0, name)
def set_attributes():
    library = ctypes.CDLL(None, use_errno=True)
    got = ctypes.create_string_buffer(24)
    if library.syscall(469, home, b"", got, 24, 0x1000) != 0:
        raise OSError(ctypes.get_errno(), "")
attempt("subvolume", ask(0x5000940E, named(b"one")))
attempt("subvolume 2", ask(0x50009418, named_2(b"two")))
attempt("snapshot", ask(0x50009401, named(b"three", home)))
attempt("snapshot 2", ask(0x50009417, named_2(b"four", home)))
attempt("project", ask(0x401C5820, bytes(28)))
attempt("attributes", set_attributes)
attempt("look", ask(0x801C581F, bytes(28)))
"""


@pytest.mark.root
@pytest.mark.slow
async def test_a_session_makes_no_subvolume_and_changes_no_project(local: LocalBackend, state: StateFolder) -> None:
    made = await local.start(shell("true"))  # makes the home
    await until_ended(local, made.id)
    home, uid = state.home("user-alice"), uid_of(state, "alice")
    with filesystems.btrfs_home(home, uid, 64 * filesystems.MEBIBYTE):
        work = await local.start(spec(sys.executable, "-c", PROGRAM))
        await until_ended(local, work.id)
        said = (await local.log(work.id)).splitlines()
        refused = ("subvolume", "subvolume 2", "snapshot", "snapshot 2", "project", "attributes")
        assert said == [*(f"{what} EPERM" for what in refused), "look done"]
        assert not {"one", "two", "three", "four"} & {path.name for path in home.iterdir()}
        become = f"os.setgroups([]); os.setresgid(*[{uid}] * 3); os.setresuid(*[{uid}] * 3)"
        outside = f"import ctypes, errno, fcntl, os, struct; {become}\n{PROGRAM}"
        free = subprocess.run(
            [sys.executable, "-c", outside],
            capture_output=True,
            text=True,
            check=True,
            env={"HOME": str(home)},
        )
        assert "subvolume done" in free.stdout  # the file system itself would let the person
