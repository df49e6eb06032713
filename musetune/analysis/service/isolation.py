"""What a process may not that reads what strangers send: it knows no secrets, takes so much memory, disk and files and
no more, gains no rights, and where the system allows it has no network.
"""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from collections.abc import Mapping

FILE_BYTES = 8 * 2**30  # of one file that it writes
OPEN_FILES = 512
SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|^MUSETUNE_STORE$|^OTEL_", re.IGNORECASE)
SECRET_VALUES = re.compile(r"://[^/\s]*:[^/\s]*@")  # an address with a password in it
NO_NEW_PRIVILEGES = 38  # prctl's PR_SET_NO_NEW_PRIVS
NEW_USERS, NEW_NETWORK = 0x10000000, 0x40000000  # unshare's CLONE_NEWUSER, CLONE_NEWNET


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables without those whose name or value looks like a secret.

    Example:
        >>> without_secrets({"HOME": "/home/me", "MUSETUNE_API_KEYS": "me:abc", "DB": "postgresql://me:abc@host/db"})
        {'HOME': '/home/me'}
    """
    return {
        name: value
        for name, value in environment.items()
        if not SECRET_NAMES.search(name) and not SECRET_VALUES.search(value)
    }


def isolate(memory: int | None = None, network: bool = True) -> None:
    """Take from this process what it does not need; call it first, while it has one thread.

    Args:
        memory: Bytes that it may take for itself (RLIMIT_DATA); None: no limit.
        network: Whether it keeps the network. Without, it is left its own where the system refuses to take it.
    """
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: FILE_BYTES, resource.RLIMIT_NOFILE: OPEN_FILES}
    if memory is not None:
        limits[resource.RLIMIT_DATA] = memory
    for kind, most in limits.items():
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if not network and libc.unshare(NEW_NETWORK) != 0:  # root may; others with a list of users of their own
            libc.unshare(NEW_USERS | NEW_NETWORK)
