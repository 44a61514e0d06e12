"""The sandbox's command line, its filter and the limits, as pure functions."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.backend import places_of
from jupyterhub_aiinfn.backends.local.cgroups import Cgroups, Limits, second_version_folder
from jupyterhub_aiinfn.backends.local.interpreters import environment_trees
from jupyterhub_aiinfn.backends.local.sandbox import (
    Host,
    Occupant,
    Share,
    bwrap_version,
    job_command,
    sandbox_command,
)
from jupyterhub_aiinfn.backends.local.seccomp import ARCHITECTURES, REFUSED_REQUESTS, SAME_EVERYWHERE, seccomp_program

ROOT = Host("/usr/bin/bwrap", "/usr/bin/setpriv", as_root=True, links=(("/bin", "usr/bin"),))
ORDINARY = Host("/usr/bin/bwrap", "/usr/bin/setpriv", as_root=False, disable_userns=True)
ALICE = Occupant("alice", 210_000, Path("/srv/state/homes/user-alice"))


def command(host: Host = ROOT, **given: object) -> list[str]:
    return sandbox_command(["/opt/lab/bin/python", "-m", "x"], host=host, occupant=ALICE, **given)  # type: ignore[arg-type]


def follows(words: list[str], *expected: str) -> bool:
    return any(words[start : start + len(expected)] == list(expected) for start in range(len(words)))


def test_as_root_the_uid_changes_and_no_user_namespace_is_made() -> None:
    words = command()
    assert "--unshare-user" not in words
    inside = words[words.index("--") + 1 :]
    assert inside[0] == "/usr/bin/setpriv"
    assert follows(inside, "--reuid", "210000", "--regid", "210000", "--clear-groups")
    assert inside[-3:] == ["/opt/lab/bin/python", "-m", "x"]


def test_an_ordinary_user_gets_a_user_namespace_and_no_more_of_them() -> None:
    words = command(ORDINARY)
    assert follows(words, "--unshare-user", "--disable-userns")
    assert "/usr/bin/setpriv" not in words
    assert "--cap-add" not in words


@pytest.mark.parametrize("host", [ROOT, ORDINARY])
def test_every_namespace_but_the_network_is_its_own(host: Host) -> None:
    words = command(host)
    assert {"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent"} <= set(
        words
    )
    assert "--unshare-net" not in words


def test_only_the_own_home_is_writable() -> None:
    words = command(readable=[Path("/opt/lab")])
    writable = [words[place + 1] for place, word in enumerate(words) if word in ("--bind", "--bind-try", "--dev-bind")]
    assert writable == ["/srv/state/homes/user-alice"]
    assert follows(words, "--bind", "/srv/state/homes/user-alice", "/home/alice")
    assert follows(words, "--ro-bind", "/opt/lab", "/opt/lab")
    assert follows(words, "--remount-ro", "/")


SHARED = Occupant(
    "alice",
    210_000,
    Path("/srv/state/homes/user-alice"),
    shares=(
        Share(Path("/srv/state/projects/shared-lab"), "projects/lab", ("project-lab", 95_000)),
        Share(Path("/srv/state/public"), "public"),
    ),
)


def test_shared_folders_are_beside_the_home_and_bring_their_groups() -> None:
    words = sandbox_command(["x"], host=ROOT, occupant=SHARED)
    assert follows(words, "--bind", "/srv/state/projects/shared-lab", "/projects/lab")
    assert follows(words, "--ro-bind", "/srv/state/public", "/public")
    assert follows(words, "--regid", "210000", "--groups", "95000", "--inh-caps=-all")
    assert "--clear-groups" not in words
    assert "project-lab:x:95000:alice" in SHARED.group.split("\n")
    assert "setpriv" not in " ".join(sandbox_command(["x"], host=ORDINARY, occupant=SHARED))


@pytest.mark.parametrize("tree", ["/projects/platform/.venv", "/projects", "/public/env"])
def test_no_tree_is_mounted_among_shared_folders(tree: str) -> None:
    moved = SHARED.beside([Path(tree)])
    assert [moved.inner(share) for share in moved.shares] == ["/shared/projects/lab", "/shared/public"]
    assert SHARED.beside([Path("/opt")]) == SHARED


def test_the_state_folder_is_masked_inside_a_readable_tree() -> None:
    words = command(readable=[Path("/srv"), Path("/srv/state/cache/env")], hidden=[Path("/srv/state")])
    order = [
        words.index("/srv", words.index("--ro-bind")),
        len(words) - words[::-1].index("/srv/state") - 1,
        len(words) - words[::-1].index("/srv/state/cache/env") - 1,
    ]
    assert follows(words, "--tmpfs", "/srv/state")
    assert order == sorted(order)


def test_the_state_folder_is_masked_inside_the_systems_own_trees() -> None:
    for place in ("/usr/local/platform", "/etc/ssl/platform"):
        assert follows(command(hidden=[Path(place)]), "--tmpfs", place)


def test_the_state_folder_is_found_behind_links(tmp_path: Path) -> None:
    (tmp_path / "data" / "state").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    found = places_of(tmp_path / "data" / "state", [tmp_path / "link"])
    assert found == {tmp_path / "data" / "state", tmp_path / "link" / "state"}


def test_no_tree_is_mounted_below_the_home() -> None:
    """There bubblewrap would make the mount point with the platform's rights, where a link of the person leads."""
    trees = [Path("/home/alice/platform/.venv")]
    moved = ALICE.beside(trees)
    assert moved.inner_home == "/people/alice"
    assert "alice:/people/alice:" in moved.passwd
    assert ALICE.beside([Path("/home/bob/platform"), Path("/opt")]) == ALICE


def test_the_whole_machine_is_never_a_tree(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").write_text("home = /bin\n")
    assert environment_trees(tmp_path) == [tmp_path]


def test_what_is_not_shown_needs_no_mask() -> None:
    assert "/srv/state" not in command(readable=[Path("/opt/lab")], hidden=[Path("/srv/state")])


def test_parents_are_open_to_everybody() -> None:
    assert follows(command(readable=[Path("/opt/x/python")]), "--perms", "0755", "--dir", "/opt/x")


def test_a_job_of_the_platform_has_a_process_namespace_only() -> None:
    words = job_command(["/bin/true"], host=ROOT)
    assert "--unshare-pid" in words
    assert "--die-with-parent" in words


def test_people_see_themselves_in_passwd() -> None:
    assert "alice:x:210000:210000:alice:/home/alice:/bin/bash" in ALICE.passwd.split("\n")
    assert "bob" not in ALICE.passwd


@pytest.mark.parametrize(
    ("text", "version"), [("bubblewrap 0.8.0\n", (0, 8, 0)), ("bubblewrap 0.11", (0, 11, 0)), ("", ())]
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert bwrap_version(text) == version


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_the_filter_is_a_valid_program(machine: str) -> None:
    program = seccomp_program(machine)
    assert program is not None
    instructions = list(struct.iter_unpack("=HBBI", program))
    assert len(instructions) * 8 == len(program)
    assert instructions[-1] == (0x06, 0, 0, 0x7FFF0000)
    for place, (code, true, false, _) in enumerate(instructions):
        if code & 0x07 == 0x05:
            assert place + 1 + max(true, false) < len(instructions)


def decide(machine: str, call: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter answers: a small BPF machine."""
    words = [call, audit or ARCHITECTURES[machine].audit, 0, 0] + [word for value in arguments for word in (value, 0)]
    words += [0] * (16 - len(words))
    program, place, value = list(struct.iter_unpack("=HBBI", seccomp_program(machine) or b"")), 0, 0
    while True:
        code, true, false, operand = program[place]
        place += 1
        if code == 0x20:
            value = words[operand // 4]
        elif code == 0x06:
            return int(operand)
        else:
            hit = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            place += true if hit else false


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_the_filter_refuses_what_it_should_and_nothing_else(machine: str) -> None:
    numbers, allow, eperm, enosys = ARCHITECTURES[machine], 0x7FFF0000, 0x50001, 0x50026
    assert {decide(machine, call) for call in numbers.refused} == {eperm}
    assert decide(machine, numbers.clone3) == enosys
    assert decide(machine, numbers.clone, 0x10000000) == eperm
    assert decide(machine, numbers.clone, 0x11) == allow
    assert decide(machine, numbers.unshare, 0x20000 | 0x10000000) == eperm
    assert {decide(machine, numbers.ioctl, 0, request) for request in REFUSED_REQUESTS} == {eperm}
    assert {decide(machine, numbers.ioctl, 0, request) for request in (0x5401, 0x801C581F, 0x40049409)} == {allow}
    assert {decide(machine, call) for call in SAME_EVERYWHERE} == {eperm}
    assert decide(machine, 0) == allow
    assert decide(machine, 0, audit=0x40000003) == enosys
    assert decide(machine, 0x40000000 + 165) == enosys


def test_limits_of_both_versions() -> None:
    limits = Limits(cores=1.5, memory_gib=2)
    first = Cgroups(1, {"memory": Path("/m"), "cpu": Path("/c")}).plan("w1", limits)
    assert first[0]["path"] == "/m/w1"
    assert first[0]["settings"]["memory.limit_in_bytes"] == str(2 * 1024**3)
    assert first[1]["settings"]["cpu.cfs_quota_us"] == "150000"
    both = {"memory": Path("/u"), "cpu": Path("/u"), "pids": Path("/u")}
    (second,) = Cgroups(2, both).plan("w1", limits)
    assert second["path"] == "/u/w1"
    assert second["settings"]["memory.max"] == str(2 * 1024**3)
    assert second["settings"]["cpu.max"] == "150000 100000"
    assert Cgroups().plan("w1", limits) == []


def test_the_second_version_uses_the_nearest_delegated_cgroup(tmp_path: Path) -> None:
    """A tree of plain files stands for the kernel's: the parent of the own cgroup was delegated."""
    parent = tmp_path / "user.slice/delegated"
    for folder in (tmp_path / "user.slice", parent, parent / "own", parent / "aiinfn-x"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("cgroup.controllers", "cgroup.subtree_control", "cgroup.procs"):
            (folder / name).write_text("memory pids" if name == "cgroup.controllers" else "")
    (parent / "own/cgroup.subtree_control").unlink()
    (parent / "own/cgroup.subtree_control").mkdir()  # writing there fails, as it does where processes are
    (parent / "aiinfn-x/cgroup.controllers").write_text("memory pids")
    found = Cgroups.discover(tmp_path, "0::/user.slice/delegated/own\n", "aiinfn-x")
    assert found.version in (0, 2)
    assert (parent / "aiinfn-x/cgroup.subtree_control").read_text() == "+memory +pids"


@pytest.mark.parametrize(
    ("file", "limit", "climbs"),
    [("memory.max", "1073741824", False), ("cpu.max", "50000 100000", False), ("cpu.max", "max 100000", True)],
)
def test_a_cgroup_with_limits_is_never_left(tmp_path: Path, file: str, limit: str, climbs: bool) -> None:
    """The service around the platform is limited: beside it, workloads would not be."""
    service = tmp_path / "system.slice/aiinfn.service"
    for folder in (tmp_path / "system.slice", service, tmp_path / "system.slice/aiinfn-x"):
        folder.mkdir(parents=True)
        for name in ("cgroup.controllers", "cgroup.procs"):
            (folder / name).write_text("memory")
    (service / "cgroup.subtree_control").mkdir()  # processes are in it
    (service / file).write_text(limit + "\n")
    second_version_folder(tmp_path, "/system.slice/aiinfn.service", "aiinfn-x")
    assert (tmp_path / "system.slice/cgroup.subtree_control").exists() == climbs


def test_the_subgroup_of_a_limited_service_stays_inside_it(tmp_path: Path) -> None:
    """What ``DelegateSubgroup`` makes: the platform's processes are in a cgroup of their own inside the service's."""
    service = tmp_path / "aiinfn.service"
    for folder in (service, service / "platform", service / "aiinfn-x"):
        folder.mkdir()
        for name in ("cgroup.controllers", "cgroup.procs"):
            (folder / name).write_text("memory")
    (service / "memory.max").write_text("1073741824\n")
    (service / "platform/cgroup.subtree_control").mkdir()
    second_version_folder(tmp_path, "/aiinfn.service/platform", "aiinfn-x")
    assert (service / "aiinfn-x/cgroup.subtree_control").read_text() == "+memory"


def test_without_cgroups_there_is_none(tmp_path: Path) -> None:
    assert Cgroups.discover(tmp_path, "0::/\n") == Cgroups()
