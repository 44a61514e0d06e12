"""What may not go over a limit does not, and figures are those of the file system."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.storage import QuotaMethod
from jupyterhub_aiinfn.backends.local.quota import btrfs as btrfs_quota
from jupyterhub_aiinfn.backends.local.quota import xfs
from jupyterhub_aiinfn.backends.local.quota.base import Quota, why_full
from jupyterhub_aiinfn.backends.local.quota.choose import choose_quota, mount_of
from jupyterhub_aiinfn.backends.local.quota.measured import MeasuredQuota, measure
from jupyterhub_aiinfn.backends.local.tree_walk import LONGEST_PATH, TreeWalk
from jupyterhub_aiinfn.errors import BackendError

from .disks import btrfs, mounted

pytestmark = pytest.mark.slow

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    with btrfs() as place:
        yield place


def fill(file: Path, size: int) -> int:
    """Write so many bytes, or as many as go in; how the writing ended (an errno, 0 for well)."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(size // MIB):
            os.write(descriptor, os.urandom(MIB))
        os.fsync(descriptor)
    except OSError as error:
        return error.errno or -1
    finally:
        os.close(descriptor)
    return 0


def make_files(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / str(number)).touch()


@pytest.mark.root
def test_btrfs_refuses_what_goes_over_the_limit_and_says_so(disk: Path) -> None:
    quota = choose_quota(disk)
    assert quota.method is QuotaMethod.btrfs
    home = disk / "user-alice"
    quota.prepare(home, 20 * MIB)
    assert home.stat().st_mode & 0o777 == 0o700
    empty = quota.use(home)
    assert (empty.limit_bytes, empty.enforced, empty.writable, empty.free_inodes) == (20 * MIB, True, True, None)
    assert fill(home / "big", 40 * MIB) == errno.EDQUOT
    full = quota.use(home)
    assert full.used_bytes is not None
    assert 19 * MIB < full.used_bytes <= 20 * MIB
    assert not full.writable
    assert "limit is reached" in full.problem
    (home / "big").unlink()  # a full home can be emptied
    assert quota.use(home).writable


@pytest.mark.root
def test_btrfs_keeps_one_from_filling_the_disk_of_another(disk: Path) -> None:
    quota = choose_quota(disk)
    for name in ("bob", "carol"):
        quota.prepare(disk / name, 10 * MIB)
    assert fill(disk / "bob" / "big", 20 * MIB) == errno.EDQUOT
    assert fill(disk / "carol" / "small", 5 * MIB) == 0
    carol = quota.use(disk / "carol")
    assert carol.used_bytes is not None
    assert 5 * MIB <= carol.used_bytes < 6 * MIB
    assert carol.free_bytes == 10 * MIB - carol.used_bytes


@pytest.mark.root
def test_a_limit_of_btrfs_can_be_raised_taken_away_and_survives_a_new_name(disk: Path) -> None:
    quota, home = choose_quota(disk), disk / "dave"
    quota.prepare(home, 10 * MIB)
    assert fill(home / "one", 20 * MIB) == errno.EDQUOT
    quota.set_limit(home, 30 * MIB)
    assert fill(home / "two", 10 * MIB) == 0
    home.rename(disk / "renamed")
    assert quota.use(disk / "renamed").limit_bytes == 30 * MIB
    quota.set_limit(disk / "renamed", None)
    free = quota.use(disk / "renamed")
    assert (free.limit_bytes, free.enforced) == (None, False)
    quota.prepare(disk / "renamed", 40 * MIB)  # what is there stays
    assert (disk / "renamed" / "two").stat().st_size == 10 * MIB


@pytest.mark.root
def test_a_plain_folder_on_btrfs_is_measured_and_says_how_to_convert_it(disk: Path) -> None:
    home = disk / "old"
    home.mkdir()
    quota = choose_quota(disk)
    quota.prepare(home, MIB)
    assert fill(home / "file", 3 * MIB) == 0
    use = quota.use(home, MIB)
    assert use.used_bytes is not None
    assert use.used_bytes >= 3 * MIB
    assert (use.limit_bytes, use.enforced, use.method) == (MIB, False, QuotaMethod.measured)
    assert use.writable
    assert "btrfs subvolume create" in use.note


@pytest.mark.root
def test_the_conversion_that_is_said_works(disk: Path) -> None:
    home = disk / "convert"
    home.mkdir()
    os.chown(home, 65_700, 65_700)
    (home / "file").write_text("kept")
    text = choose_quota(disk).use(home).note
    commands = text[text.index("btrfs") : text.index("; then delete")]
    assert os.system(commands) == 0
    assert btrfs_quota.is_subvolume(home)
    assert (home / "file").read_text() == "kept"
    assert home.stat().st_uid == 65_700


@pytest.mark.root
@pytest.mark.parametrize("kind", ["link", "file", "fifo"])
def test_what_is_no_folder_gets_no_limit(disk: Path, kind: str) -> None:
    other, place = disk / f"target-{kind}", disk / f"bad-{kind}"
    quota = choose_quota(disk)
    quota.prepare(other, None)
    {"link": lambda: place.symlink_to(other), "file": place.touch, "fifo": lambda: os.mkfifo(place)}[kind]()
    with pytest.raises(BackendError, match="not a folder"):
        quota.prepare(place, 10 * MIB)
    with pytest.raises(BackendError, match="not a folder"):
        quota.use(place)
    assert quota.use(other).limit_bytes is None


@pytest.mark.root
def test_a_btrfs_without_quotas_is_measured_and_says_how_to_switch_them_on() -> None:
    with btrfs(120, quota=False) as place:
        quota = choose_quota(place)
        assert quota.method is QuotaMethod.measured
        assert f"btrfs quota enable {place}" in quota.use(place).note


@pytest.mark.root
def test_a_full_disk_is_said_with_and_without_inodes() -> None:
    with mounted("ext4", 8) as place:
        home = place / "home"
        quota = choose_quota(place)
        quota.prepare(home, 100 * MIB)
        with pytest.raises(OSError, match="No space left"):
            make_files(home, 100_000)
        use = quota.use(home, 100 * MIB)
        assert (use.free_inodes, use.writable) == (0, False)
        assert "another file" in use.problem
        for number in range(10):
            (home / str(number)).unlink()
        fill(home / "big", 20 * MIB)
        use = quota.use(home, 100 * MIB)
        assert not use.writable
        assert "disk of this machine is full" in use.problem


@pytest.mark.parametrize("limit", [0, -1, 2**63])
def test_a_limit_must_be_a_number_of_bytes(tmp_path: Path, limit: int) -> None:
    with pytest.raises(BackendError, match="cannot be the limit"):
        MeasuredQuota().prepare(tmp_path / "home", limit)


def test_a_folder_without_a_parent_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="could not be made"):
        MeasuredQuota().prepare(tmp_path / "none" / "home", None)
    with pytest.raises(BackendError, match="cannot be looked at"):
        MeasuredQuota().use(tmp_path / "none")


# Counting


def test_a_count_takes_each_file_once_and_follows_no_link(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (outside / "big").write_bytes(b"x" * 5 * MIB)
    (home / "file").write_bytes(b"x" * MIB)
    for number in range(5):
        os.link(home / "file", home / f"again-{number}")
    (home / "link").symlink_to(outside)
    (home / "loop").symlink_to(".")
    os.mkfifo(home / "fifo")
    (home / "new\nline").write_bytes(b"x" * MIB)
    Path(os.fsdecode(os.fsencode(home) + b"/\xff\xfe")).write_bytes(b"x" * MIB)
    with (home / "sparse").open("wb") as stream:
        stream.truncate(2**40)
    found = measure(home)
    assert 3 * MIB <= found.used < 3 * MIB + 64 * 1024
    assert (found.files, found.complete) == (12, True)


@pytest.mark.root
def test_a_count_includes_files_of_others_and_stays_on_its_disk(tmp_path: Path) -> None:
    with mounted("ext4", 16) as place:
        home = place / "home"
        home.mkdir()
        (home / "others").write_bytes(b"x" * MIB)
        os.chown(home / "others", 0, 0)
        with mounted("ext4", 16) as inner:
            (inner / "big").write_bytes(b"x" * 3 * MIB)
            (home / "mount").mkdir()
            assert os.system(f"mount --bind {inner} {home / 'mount'}") == 0
            try:
                found = measure(home)
            finally:
                assert os.system(f"umount {home / 'mount'}") == 0
    assert MIB <= found.used < 2 * MIB
    assert not found.complete


def deep(folder: Path, levels: int) -> None:
    """Folders in folders, made from within: no path could name the last."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where ten thousand folders are quickly made and removed."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-test-", dir="/dev/shm"))
    yield folder
    assert os.system(f"rm -rf {folder}") == 0


def test_ten_thousand_levels_are_walked_with_one_descriptor(memory: Path) -> None:
    deep(memory, 10_000)
    begun, soft = time.monotonic(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 8, soft[1]))
    try:
        found = measure(memory)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)
    assert time.monotonic() - begun < 5
    assert (found.files, found.complete) == (10_000, True)
    short = TreeWalk(memory, LONGEST_PATH)
    assert len(list(short)) == LONGEST_PATH // 2 + 1
    assert short.skipped == 1
    assert len(short.first_skipped) > LONGEST_PATH


def test_a_count_ends_in_time_and_says_at_least(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / str(number)).touch()
    found = measure(tmp_path, seconds=0.0)
    assert 0 < found.files < 3000
    assert not found.complete
    quota = MeasuredQuota(longest=0.0, patience=10)
    assert quota.use(tmp_path, MIB).at_least


def test_a_count_survives_a_tree_that_moves_under_it(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number in range(30):
        (home / f"d{number}" / "a" / "b").mkdir(parents=True)
        (home / f"d{number}" / "a" / "b" / "file").write_bytes(b"x" * 4096)
    stop = threading.Event()

    def move() -> None:
        while not stop.is_set():
            for number in range(30):
                inner = home / f"d{number}" / "a"
                inner.rename(elsewhere / f"a{number}")
                inner.symlink_to("/usr")
                inner.unlink()
                (elsewhere / f"a{number}").rename(inner)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        counts = [measure(home, seconds=5) for _ in range(100)]
    finally:
        stop.set()
        mover.join()
    assert all(count.files <= 30 * 4 + 30 and count.used <= 30 * 4 * 4096 * 2 for count in counts)


def test_a_measured_use_is_remembered_and_forgotten_on_demand(tmp_path: Path) -> None:
    quota = MeasuredQuota("because", patience=10, least=0.0)
    first = quota.use(tmp_path, 10 * MIB)
    assert (first.method, first.enforced, first.note, first.limit_bytes) == ("measured", False, "because", 10 * MIB)
    (tmp_path / "file").write_bytes(b"x" * MIB)
    assert quota.use(tmp_path).measured_at == first.measured_at
    time.sleep(0.5)  # more than so many times what the count took
    quota.forget(tmp_path)
    second = quota.use(tmp_path)
    assert second.used_bytes is not None
    assert second.used_bytes >= MIB
    assert second.measured_at > first.measured_at


def test_who_asks_to_forget_again_and_again_causes_no_count_each_time(tmp_path: Path) -> None:
    quota = MeasuredQuota(patience=10)
    first = quota.use(tmp_path)
    quota.forget(tmp_path)
    assert quota.use(tmp_path).measured_at == first.measured_at
    slow = MeasuredQuota(patience=10, least=0.0)
    for number in range(2000):
        (tmp_path / str(number)).touch()
    first = slow.use(tmp_path)
    slow.forget(tmp_path)  # at once: it rests longer than it counted
    assert slow.use(tmp_path).measured_at == first.measured_at


def test_an_old_figure_is_shown_while_the_new_count_takes_long(tmp_path: Path) -> None:
    quota = MeasuredQuota(patience=10, least=0.0)
    first = quota.use(tmp_path)
    time.sleep(0.5)
    quota._patience = 0.0
    for number in range(3000):
        (tmp_path / str(number)).touch()
    quota.forget(tmp_path)
    assert quota.use(tmp_path).used_bytes == first.used_bytes
    wait_until = time.monotonic() + 10
    while quota.use(tmp_path).measured_at == first.measured_at:
        assert time.monotonic() < wait_until
        time.sleep(0.01)


def test_who_asks_does_not_wait_for_a_long_count(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"d{number}").mkdir()
    quota = MeasuredQuota(patience=0.0)
    begun = time.monotonic()
    first = quota.use(tmp_path)
    assert time.monotonic() - begun < 0.5
    assert first.used_bytes is None or first.used_bytes >= 0
    end = time.monotonic() + 10
    while quota.use(tmp_path).used_bytes is None:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_many_who_ask_at_once_cause_one_count(tmp_path: Path) -> None:
    quota = MeasuredQuota(patience=10)
    moments = []
    threads = [threading.Thread(target=lambda: moments.append(quota.use(tmp_path).measured_at)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 20
    assert len(set(moments)) == 1


# XFS, as text

REPORT = """\
#0                   0          0          0     00 [--------]
#65600            1024          0      20480     00 [--------]
#65601               0          0          0     00 [--------]
"""


def test_a_report_of_xfs_is_read() -> None:
    assert xfs.parse_report(REPORT) == {
        0: xfs.Row(0, None),
        65600: xfs.Row(MIB, 20 * MIB),
        65601: xfs.Row(0, None),
    }
    assert xfs.parse_report("") == {}
    assert xfs.parse_report("Project quota on /srv (/dev/sda1)\n   Blocks\n---- ----\n\n") == {}


def test_what_xfs_would_run() -> None:
    mount, home = Path("/srv"), Path("/srv/homes/user-alice")
    words = ["xfs_quota", "-x", "-c"]
    assert xfs.project_command(mount, home, 7) == [*words, "project -s -p /srv/homes/user-alice 7", "/srv"]
    assert xfs.limit_command(mount, 7, 20 * MIB + 1) == [*words, f"limit -p bhard={20 * MIB + 512} 7", "/srv"]
    assert xfs.limit_command(mount, 7, None) == [*words, "limit -p bhard=0 7", "/srv"]
    assert xfs.report_command(mount, 7) == [*words, "report -p -n -N -b -L 7 -U 7", "/srv"]
    for hostile in ("/srv/a b", '/srv/"', "/srv/a\nlimit -p bhard=0 7"):
        with pytest.raises(BackendError, match="cannot be given"):
            xfs.project_command(mount, Path(hostile), 7)


MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:39 / /srv/with\040space rw - btrfs /dev/sdb rw,subvol=/
31 22 8:17 / /srv/data rw,noatime - xfs /dev/sdc rw,attr2,prjquota
nonsense
32 22 8:18 / /srv/data/old rw - xfs /dev/sdd rw,noquota
"""


def test_the_file_system_of_a_folder_is_the_nearest_mount() -> None:
    kinds = {
        place: mount_of(Path(place), MOUNTS) for place in ("/x", "/srv/with space/a", "/srv/data/h", "/srv/data/old/h")
    }
    assert [found and (str(found.point), found.kind) for found in kinds.values()] == [
        ("/", "ext4"),
        ("/srv/with space", "btrfs"),
        ("/srv/data", "xfs"),
        ("/srv/data/old", "xfs"),
    ]
    assert kinds["/srv/data/h"] is not None
    assert "prjquota" in kinds["/srv/data/h"].options
    assert mount_of(Path("/x"), "") is None


@pytest.mark.parametrize(
    ("free", "inodes", "read_only", "by_quota", "words"),
    [
        (MIB, 5, False, False, ""),
        (MIB, None, False, True, ""),
        (MIB, 0, False, False, "another file"),
        (0, 5, False, True, "limit is reached"),
        (1000, None, False, True, "limit is reached"),
        (0, 5, False, False, "disk of this machine is full"),
        (MIB, 5, True, False, "read-only"),
    ],
)
def test_why_nothing_can_be_written(free: int, inodes: int | None, read_only: bool, by_quota: bool, words: str) -> None:
    sentence = why_full(free, inodes, read_only=read_only, by_quota=by_quota)
    assert words in sentence
    assert bool(sentence) == bool(words)


def test_the_groups_of_btrfs_are_read() -> None:
    text = (
        "Qgroupid    Referenced    Exclusive  Max referenced  Max exclusive   Path\n"
        "--------    ----------    ---------  --------------  -------------   ----\n"
        "0/256         20955136     20955136        20971520           none   user-alice\n"
        "0/257            16384        16384            none           none   0/256 99 99 99\n"
    )
    assert btrfs_quota.parse_groups(text) == {
        "0/256": btrfs_quota.Group(20955136, 20971520),
        "0/257": btrfs_quota.Group(16384, None),
    }


def test_no_quota_forgets_a_verb() -> None:
    assert Quota.__abstractmethods__ == {"make", "set_limit", "use", "forget"}
    for one in (MeasuredQuota, btrfs_quota.BtrfsQuota, xfs.XfsQuota):
        assert not getattr(one, "__abstractmethods__", None)
