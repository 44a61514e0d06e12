"""Abstract Unix sockets of a session's own: they have no file that a mount could hide, but Landlock can scope them.

See ``Documentation/userspace-api/landlock.rst`` of Linux: ``LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET``, ABI 6 (Linux 6.12).
The runner imports this at the start of a session: it imports little.
"""

from __future__ import annotations

import ctypes
import os
import struct

CREATE_RULESET, RESTRICT_SELF = 444, 446
"""Numbers of the system calls, the same for every architecture."""
VERSION = 1
"""The flag with which ``landlock_create_ruleset`` tells its ABI."""
SCOPE_ABSTRACT_UNIX_SOCKET = 1
NEEDED_ABI = 6
PR_SET_NO_NEW_PRIVS = 38

LIBC = ctypes.CDLL(None, use_errno=True)


def can_scope() -> bool:
    """Whether this kernel can keep abstract sockets of sessions apart."""
    return int(LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)) >= NEEDED_ABI


def scope_abstract_sockets() -> None:
    """From now on this process and all that it starts connect only to abstract sockets that one of them made.

    Nothing else is restricted: a ruleset that handles no access to files still allows mounts. Raises :class:`OSError`.
    """
    attributes = struct.pack("=QQQ", 0, 0, SCOPE_ABSTRACT_UNIX_SOCKET)
    ruleset = _checked(LIBC.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        _checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(LIBC.syscall(RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the abstract sockets could not be kept apart: {os.strerror(number)}")
    return result
