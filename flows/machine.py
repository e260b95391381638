"""What the machine did, not the study and not this program: no room, no permission, no memory. Each is one plain line.

Any of them can happen wherever a file is touched, so they are told once, at the door of the command, and not at each
of a hundred places. What could as well be a mistake of ours (a file that is not there) is not among them.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

from causal.errors import RapportError
from flows.shown import shown_path

_ROOM = "free some space, or name another folder, and run again"
_ALLOWED = "give this account the permission, or name another place"
MENDS: dict[int, str] = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _ALLOWED,
    errno.EPERM: _ALLOWED,
    errno.EROFS: "name a folder that can be written",
    errno.ENOTDIR: "something on the way to it is a file; name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.EIO: "the disk or the network share is failing: run again from another one",
    errno.ESTALE: "the network share went away: run again when it is back",
    errno.ENOLCK: "this file system cannot lock files; name a results folder on a local disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ELOOP: "a link leads back to itself; name the folder itself",
    errno.ETXTBSY: "another process is writing it; run again",
}
"""Errors of the operating system that somebody other than a programmer can mend, and how."""
_CUT_SHORT = re.compile(r"\d+ requested and \d+ written")
"""How numpy says that a file could not be written to its end."""


def machine_fault(error: BaseException) -> RapportError | None:
    """The refusal that `error` amounts to; None where it is no fault of the machine.

    A library's own words are not repeated: they can quote what was being written.

    >>> print(machine_fault(OSError(errno.ENOSPC, "No space left on device", "x.parquet")))
    [machine.files] x.parquet: no space left on device. Fix: free some space, or name another folder, and run again
    >>> machine_fault(KeyError("a")) is None
    True
    """
    if isinstance(error, MemoryError) or _is_duckdb(error, "OutOfMemoryException"):
        return RapportError(
            "machine.memory",
            "the run needs more memory than it may use",
            fix="raise memory_gb in the site file, or run on a larger machine",
        )
    if _is_duckdb(error, "IOException"):
        return RapportError("machine.engine", "the engine cannot read or write its files on this disk", fix=_ROOM)
    if not isinstance(error, OSError):
        return None
    code = errno.ENOSPC if error.errno is None and _CUT_SHORT.search(str(error)) else error.errno
    if code not in MENDS:
        return None
    return RapportError("machine.files", f"{place_of(error)}: {os.strerror(code).lower()}", fix=MENDS[code])


def place_of(error: OSError) -> str:
    """The file that `error` speaks of, as far as it says so."""
    name = error.filename2 or error.filename
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return shown_path(Path(name)) if isinstance(name, str) and name else "a file of this run"


def mend_of(error: OSError) -> str:
    """How somebody can mend what the operating system refused."""
    return MENDS.get(error.errno or 0, _ALLOWED)


def _is_duckdb(error: BaseException, kind: str) -> bool:
    duckdb = sys.modules.get("duckdb")  # an error of it cannot be met before it is imported
    return duckdb is not None and isinstance(error, getattr(duckdb, kind))
