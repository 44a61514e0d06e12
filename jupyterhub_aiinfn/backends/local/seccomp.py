"""The system-call filter of a sandbox: what a session never needs and attackers like, as a BPF program.

Refused calls answer EPERM, as they would without capabilities. What the filter adds to the missing capabilities: no
new user namespaces (in which the kernel would hand capabilities out again), no key rings, no BPF, no io_uring, no
pushing of characters into a terminal, no subvolume of btrfs and no other project of XFS (their files would not count
for the quota of the home). ``clone3`` answers ENOSYS, because its flags cannot be seen; C libraries then use ``clone``.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import NamedTuple

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
JUMP_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24  # offsets in struct seccomp_data, low words
NEW_USER = 0x10000000  # CLONE_NEWUSER
REFUSED_REQUESTS = (0x5412, 0x541C, 0x5000940E, 0x50009418, 0x50009401, 0x50009417, 0x401C5820)
"""Of ioctl: TIOCSTI, TIOCLINUX; BTRFS_IOC_SUBVOL_CREATE, its _V2, BTRFS_IOC_SNAP_CREATE, its _V2; FS_IOC_FSSETXATTR."""
FOREIGN = 0x40000000  # x32 calls of x86-64 start here
SAME_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 467, 469)
"""io_uring_*, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr, open_tree_attr, file_setattr."""


class Architecture(NamedTuple):
    """Numbers of one architecture: AUDIT_ARCH, the calls that are refused, and the ones whose arguments matter."""

    audit: int
    refused: tuple[int, ...]
    clone: int
    clone3: int
    unshare: int
    ioctl: int


ARCHITECTURES = {
    "x86_64": Architecture(
        audit=0xC000003E,
        # pivot_root chroot acct mount umount2 swapon swapoff reboot init_module delete_module quotactl kexec_load
        # add_key request_key keyctl perf_event_open open_by_handle_at setns finit_module kexec_file_load
        # bpf userfaultfd syslog
        refused=(
            *(155, 161, 163, 165, 166, 167, 168, 169, 175, 176, 179, 246, 248, 249, 250, 298, 304, 308, 313, 320),
            *(321, 323, 103),
        ),
        clone=56,
        clone3=435,
        unshare=272,
        ioctl=16,
    ),
    "aarch64": Architecture(
        audit=0xC00000B7,
        refused=(
            *(41, 51, 89, 40, 39, 224, 225, 142, 105, 106, 60, 104, 217, 218, 219, 241, 265, 268, 273, 294),
            *(280, 282, 116),
        ),
        clone=220,
        clone3=435,
        unshare=97,
        ioctl=29,
    ),
}


def seccomp_program(machine: str | None = None) -> bytes | None:
    """The filter as an array of ``struct sock_filter``; None for an architecture whose numbers we do not know."""
    numbers = ARCHITECTURES.get(machine or os.uname().machine)
    if numbers is None:
        return None
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, numbers.audit),
        refuse(errno.ENOSYS),
        (LOAD, 0, 0, NUMBER),
        (JUMP_AT_LEAST, 0, 1, FOREIGN),
        refuse(errno.ENOSYS),
        (JUMP_EQUAL, 0, 1, numbers.clone3),
        refuse(errno.ENOSYS),
    ]
    for call in (*numbers.refused, *SAME_EVERYWHERE):
        program += [(JUMP_EQUAL, 0, 1, call), refuse(errno.EPERM)]
    for call in (numbers.clone, numbers.unshare):
        program += [(JUMP_EQUAL, 0, 4, call), (LOAD, 0, 0, FIRST_ARGUMENT), (JUMP_ANY_BIT, 0, 1, NEW_USER)]
        program += [refuse(errno.EPERM), (RETURN, 0, 0, ALLOW)]
    program += [(JUMP_EQUAL, 0, 2 * len(REFUSED_REQUESTS) + 1, numbers.ioctl), (LOAD, 0, 0, SECOND_ARGUMENT)]
    for request in REFUSED_REQUESTS:
        program += [(JUMP_EQUAL, 0, 1, request), refuse(errno.EPERM)]
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def refuse(number: int) -> tuple[int, int, int, int]:
    """The instruction that answers the call with this error."""
    return (RETURN, 0, 0, ERRNO | number)
