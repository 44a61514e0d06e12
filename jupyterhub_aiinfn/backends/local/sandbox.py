"""The sandbox of a workload as a bubblewrap command line: a pure function of what the host has and who it is for.

As root, bubblewrap keeps few capabilities, only to enter the home and to let ``setpriv`` change to the person's own
uid; the program itself has none. As an ordinary user everything happens in a user namespace, and people share that
user's uid. The network is the host's (loopback): what listens there must ask for authentication. Abstract Unix sockets
belong to the network too; Landlock keeps them apart where the kernel can.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from .landlock import can_scope

INFO_FD, BLOCK_FD, SECCOMP_FD, PASSWD_FD, GROUP_FD = 60, 61, 62, 63, 64
"""Descriptors that the runner opens for bubblewrap; the program inside inherits none of them."""

PROJECTS, PUBLIC = "projects", "public"
"""Where shared folders are inside, below the top of shares."""

ROOT_NEEDS = ("SETUID", "SETGID", "SETPCAP", "DAC_READ_SEARCH")
"""Capabilities until ``setpriv`` has changed the uid: for that, and to enter a home that is the person's alone."""
ETC = (
    *("alternatives", "ca-certificates", "fonts", "host.conf", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("locale.alias", "locale.conf", "localtime", "machine-id", "mime.types", "nsswitch.conf", "os-release", "pki"),
    *(
        "profile",
        "protocols",
        "resolv.conf",
        "services",
        "ssl",
        "terminfo",
        "timezone",
        "bash.bashrc",
        "vulkan",
        "OpenCL",
    ),
)
"""What programs need of /etc; nothing here may hold a secret (``ssl/private`` is masked)."""


@dataclass(frozen=True)
class Host:
    """What the sandbox is made from on this machine."""

    bwrap: str
    setpriv: str
    as_root: bool
    links: tuple[tuple[str, str], ...] = ()
    """Top folders that are links on a merged-/usr system: (``/bin``, ``usr/bin``)."""
    trees: tuple[str, ...] = ("/usr",)
    """Top folders that are bound read-only."""
    private: tuple[str, ...] = ()
    """Folders below them that are masked."""
    disable_userns: bool = False
    """Whether this bubblewrap (0.8 or newer, not root) can forbid further user namespaces."""
    own_abstract_sockets: bool = False
    """Whether the kernel can keep abstract sockets of sessions apart, and bubblewrap works without new privileges."""

    @classmethod
    def discover(cls, *, as_root: bool, version: str) -> Host:
        """This machine; ``version`` is what ``bwrap --version`` prints."""
        tops = [Path(name) for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")]
        bwrap = shutil.which("bwrap") or "bwrap"
        return cls(
            bwrap=bwrap,
            setpriv=shutil.which("setpriv") or "/usr/bin/setpriv",
            as_root=as_root,
            links=tuple((str(top), str(top.readlink())) for top in tops if top.is_symlink()),
            trees=("/usr", *(str(top) for top in tops if top.is_dir() and not top.is_symlink())),
            private=("/etc/ssl/private",) if Path("/etc/ssl/private").exists() else (),
            disable_userns=not as_root and bwrap_version(version) >= (0, 8),
            own_abstract_sockets=can_scope() and (as_root or not is_setuid(bwrap)),
        )


def bwrap_version(text: str) -> tuple[int, ...]:
    """``bubblewrap 0.8.0`` as (0, 8, 0); empty for anything else."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def is_setuid(program: str) -> bool:
    """Whether the program gains rights when an ordinary user starts it (bubblewrap on old systems)."""
    try:
        return bool(Path(program).stat().st_mode & stat.S_ISUID)
    except OSError:
        return False


@dataclass(frozen=True)
class Share:
    """A folder that several people have."""

    host: Path
    name: str
    """Its path inside, below the top of shares: ``projects/flash-sim``, ``public``."""
    group: tuple[str, int] | None = None
    """Name and number of the group that may write there; None: it is read only."""


@dataclass(frozen=True)
class Occupant:
    """For whom a sandbox is made."""

    name: str
    """Login name."""
    uid: int
    """User and group id outside and inside."""
    home: Path
    """The home on the host."""
    homes: str = "/home"
    """The folder in which the home is inside."""
    shares: tuple[Share, ...] = ()
    """What else they have. Beside the home, never in it: a mount point there would be where the person wants it."""
    top: str = ""
    """The folder in which shares are inside; "" is the root."""

    @property
    def inner_home(self) -> str:
        """Where the home is inside."""
        return f"{self.homes}/{self.name}"

    def beside(self, trees: Iterable[Path]) -> Occupant:
        """The same person, with a home that holds none of the trees.

        The platform may be installed below ``/home/alice`` and have a person of that name: the mount points would be
        made in the person's own home, with the rights of the platform and wherever a link of theirs leads.
        """
        shown = list(trees)
        taken = any(tree.is_relative_to(self.inner_home) for tree in shown)
        moved = replace(self, homes="/people") if taken else self
        clash = any(tree.is_relative_to(top) for tree in shown for top in (f"/{PROJECTS}", f"/{PUBLIC}"))
        return replace(moved, top="/shared") if clash else moved

    def inner(self, share: Share) -> str:
        """Where a share is inside."""
        return f"{self.top}/{share.name}"

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Name and number of the groups beside the own one."""
        return tuple(share.group for share in self.shares if share.group is not None)

    @property
    def passwd(self) -> str:
        """``/etc/passwd`` of the sandbox: nobody but this person (root keeps its name in listings)."""
        return (
            "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n"
            f"{self.name}:x:{self.uid}:{self.uid}:{self.name}:{self.inner_home}:/bin/bash\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        )

    @property
    def group(self) -> str:
        """``/etc/group`` of the sandbox."""
        own = f"root:x:0:\n{self.name}:x:{self.uid}:\nnogroup:x:65534:\n"
        return own + "".join(f"{name}:x:{gid}:{self.name}\n" for name, gid in self.groups)


def sandbox_command(
    command: Sequence[str],
    *,
    host: Host,
    occupant: Occupant,
    readable: Iterable[Path] = (),
    hidden: Iterable[Path] = (),
    devices: Iterable[str] = (),
    seccomp: bool = True,
) -> list[str]:
    """The command that runs ``command`` for ``occupant``.

    ``readable`` trees appear read-only at their own paths. ``hidden`` folders (the state folder) stay invisible even
    when they lie inside a readable tree; a readable tree inside a hidden folder is visible. ``devices`` are paths of
    /dev.
    """
    trees = shown_trees(readable)
    masks = sorted(set(hidden))
    inside = [tree for tree in trees if any(tree.is_relative_to(mask) for mask in masks)]
    outside = [tree for tree in trees if tree not in inside]
    return [
        *(host.bwrap, *namespaces(host), *(("--seccomp", str(SECCOMP_FD)) if seccomp else ())),
        *system_mounts(host),
        *home_mounts(occupant),
        *tree_mounts(outside),
        *mask_mounts(masks, [*outside, *map(Path, host.trees), *(Path("/etc", name) for name in ETC)]),
        *tree_mounts(inside),
        *(word for device in devices for word in ("--dev-bind-try", device, device)),
        *("--remount-ro", "/"),
        *("--chdir", occupant.inner_home, "--"),
        *(become(host, occupant) if host.as_root else ()),
        *command,
    ]


def shown_trees(readable: Iterable[Path]) -> list[Path]:
    """The trees that are bound beside the system's own."""
    return sorted({path for path in readable if not str(path).startswith("/usr/")})


def job_command(command: Sequence[str], *, host: Host) -> list[str]:
    """The command of a job of the platform itself (such as the build of an environment).

    It runs with the rights of hub and service and sees the whole machine: the only thing bubblewrap gives it is a
    process namespace, so that nothing it started survives it.
    """
    return [
        *(host.bwrap, "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--die-with-parent", "--new-session"),
        *("--info-fd", str(INFO_FD), "--block-fd", str(BLOCK_FD), "--chdir", "/", "--", *command),
    ]


def namespaces(host: Host) -> list[str]:
    """Own namespaces for everything but the network, death with the runner, no capability left."""
    words = [
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
    ]
    words += ["--info-fd", str(INFO_FD), "--block-fd", str(BLOCK_FD), "--cap-drop", "ALL"]
    if host.as_root:
        return words + [word for name in ROOT_NEEDS for word in ("--cap-add", f"CAP_{name}")]
    return [*words, "--unshare-user", *(["--disable-userns"] if host.disable_userns else [])]


def system_mounts(host: Host) -> list[str]:
    """/usr, the little of /etc that programs need, own /proc, /dev, /tmp, /var and /run."""
    words = [word for tree in host.trees for word in ("--ro-bind", tree, tree)]
    words += [word for name, target in host.links for word in ("--symlink", target, name)]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm", "/var/tmp"):  # noqa: S108 - the sandbox's own
        words += [*make_parents([folder]), "--perms", "1777", "--tmpfs", folder]
    words += ["--perms", "0755", "--dir", "/run", "--perms", "0755", "--dir", "/etc"]
    words += [word for name in ETC for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")]
    words += [word for folder in host.private for word in ("--perms", "0000", "--tmpfs", folder)]
    words += ["--perms", "0644", "--ro-bind-data", str(PASSWD_FD), "/etc/passwd"]
    return [*words, "--perms", "0644", "--ro-bind-data", str(GROUP_FD), "/etc/group"]


def home_mounts(occupant: Occupant) -> list[str]:
    """The person's home and no other, and the folders shared with them."""
    words = [*make_parents([occupant.inner_home]), "--bind", str(occupant.home), occupant.inner_home]
    words += make_parents(map(occupant.inner, occupant.shares))
    for share in occupant.shares:
        words += ["--bind" if share.group else "--ro-bind", str(share.host), occupant.inner(share)]
    return words


def tree_mounts(trees: Sequence[Path]) -> list[str]:
    """Trees that are read at their own paths."""
    binds = [word for tree in trees for word in ("--ro-bind", str(tree), str(tree))]
    return [*make_parents(map(str, trees)), *binds]


def mask_mounts(masks: Sequence[Path], trees: Sequence[Path]) -> list[str]:
    """Empty folders over those hidden ones that a readable tree would show."""
    shown = [mask for mask in masks if any(mask.is_relative_to(tree) for tree in trees)]
    return [word for mask in shown for word in ("--perms", "0711", "--tmpfs", str(mask))]


def make_parents(paths: Iterable[str]) -> list[str]:
    """Folders above ``paths``, open to everybody (those that bubblewrap makes by itself are root's alone)."""
    above = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    folders = sorted(above - {"/", "/dev", "/proc", "/usr", "/tmp"})  # noqa: S108
    return [word for folder in folders for word in ("--perms", "0755", "--dir", folder)]


def become(host: Host, occupant: Occupant) -> list[str]:
    """Change to the person's uid for good; the capabilities end with it."""
    uid = str(occupant.uid)
    gids = ",".join(str(gid) for _, gid in occupant.groups)
    return [
        *(host.setpriv, "--reuid", uid, "--regid", uid, *(("--groups", gids) if gids else ("--clear-groups",))),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
    ]
