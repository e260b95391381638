"""Opening a file that a person wrote: small, regular, UTF-8, and nothing that waits, follows or hides."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from causal.spelling import nearest
from flows.shown import shown

MAX_BYTES = 256 * 1024
"""A study file is some 10 KB. Above this, parsing alone would take longer than a refusal may."""

INVISIBLE = re.compile(
    "[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)"
)
"""Control characters, tabs, halves of characters, and characters that reorder or hide the text around them."""


class UnreadableFileError(Exception):
    """The path is not a file that may be read; the message is a clause with "it" for the file."""


def small_text(path: Path) -> str:
    """Read the text of the small regular ``.yaml`` file at `path`.

    The file is opened once, without following a symbolic link and without waiting for a pipe; type and size are those
    of the opened file, so nothing can be swapped in between. Raises `UnreadableFileError`.
    """
    name = str(path)
    if not name.isprintable() or len(name) > 1000:
        raise UnreadableFileError("its name holds control characters or is too long")
    if path.suffix not in (".yaml", ".yml"):
        raise UnreadableFileError("its name does not end in .yaml")
    return _decoded(_content(path))


def _content(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.is_symlink():
            raise UnreadableFileError("it is a symbolic link; name the file itself") from None
        raise UnreadableFileError(f"there is no such file{_sibling(path)}") from None
    except OSError as error:
        if path.is_symlink():
            raise UnreadableFileError("it is a symbolic link; name the file itself") from None
        raise UnreadableFileError(f"it cannot be opened ({error.strerror})") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableFileError("it is a folder, a pipe or a device, not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            content = stream.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise UnreadableFileError(f"it is larger than {MAX_BYTES // 1024} KB, far more than a person writes")
    return content


def _sibling(path: Path) -> str:
    """End a sentence with the file of the same folder that was probably meant, or not at all."""
    try:
        near = nearest(path.stem, [other.stem for other in path.parent.glob(f"*{path.suffix}")])
    except OSError:
        return ""
    return f"; did you mean {shown(near + path.suffix)!r}?" if near else ""


def _decoded(content: bytes) -> str:
    """UTF-8 text; a byte-order mark at the start is dropped."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFileError("it is written in UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UnreadableFileError(
            f"line {line} is not UTF-8 (perhaps Windows-1252 or Latin-1); save it as UTF-8"
        ) from None
