"""Zip archives of articles: every member by its own kind. Nothing is ever written under a member's name."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count
from pathlib import PurePosixPath

from askai.errors import ArticleError
from askai.formats.contents import Contents, Part, Source, one_line
from askai.formats.kinds import ZIP, Kind, kind_of, too_big
from askai.formats.packages import member_bytes, open_package
from askai.formats.plain import likeliest
from askai.types import Failure

ReadOne = Callable[[Kind, bytes, Source], Contents]
"""Reads one member: the kind that its suffix says, its bytes, what it is called."""

_UNICODE_PATH = 0x7075
_DRIVE = re.compile(r"[A-Za-z]:")


def _raw_names(members: list[zipfile.ZipInfo]) -> list[bytes | str]:
    """Each name as text where the archive says that it is UTF-8, else as its bytes."""
    names: list[bytes | str] = []
    for member in members:
        told = _unicode_path(member.extra)
        if member.flag_bits & 0x800 or told:
            names.append(told or member.filename)
            continue
        try:
            names.append(member.orig_filename.encode("cp437"))
        except UnicodeEncodeError:
            names.append(member.filename)
    return names


def _unicode_path(extra: bytes) -> str:
    """The name in the field that Info-ZIP adds; empty where there is none."""
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        if kind == _UNICODE_PATH and size > 5:
            try:
                return extra[9 : 4 + size].decode("utf-8")
            except UnicodeDecodeError:
                return ""
        extra = extra[4 + size :]
    return ""


def member_names(members: list[zipfile.ZipInfo]) -> list[str]:
    """The names of members as people wrote them: UTF-8, or what all of them together look like."""
    raw = _raw_names(members)
    unsure = [name for name in raw if isinstance(name, bytes)]
    joined = b"\n".join(name.replace(b"\n", b"_") for name in unsure)
    try:
        decoded = joined.decode("utf-8")
    except UnicodeDecodeError:
        decoded = likeliest(joined) or joined.decode("cp437")
    told = iter(decoded.split("\n"))
    return [name if isinstance(name, str) else next(told, "") for name in raw]


def harmless(name: str) -> str:
    """A member's name as a path below the archive: no ``..``, no root, no drive, no control characters."""
    parts = one_line(_DRIVE.sub("", name.replace("\\", "/"), count=1)).split("/")
    kept = "/".join(part.strip() for part in parts if part.strip() not in {"", ".", ".."})
    return kept if len(kept) <= 300 else f"…{kept[-299:]}"


def _is_ours(name: str) -> bool:
    """Whether a member is looked at: what systems put beside the files is not."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not any(part.startswith((".", "__MACOSX")) for part in parts)


def _read_member(
    package: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source, read_one: ReadOne
) -> Contents:
    try:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ArticleError("是符号链接，没有跟随。请放入文件本身。")
        kind = kind_of(source.path)
        if kind is ZIP:
            raise ArticleError("压缩包里的压缩包没有读。请把它单独解压出来再放入。")
        if member.file_size > kind.limit:
            raise too_big(member.file_size, kind.limit)
        return read_one(kind, member_bytes(package, member), source)
    except ArticleError as error:
        return Contents(failures=(Failure(source.path, str(error)),))


def _unlike(name: str, taken: set[str]) -> str:
    """``name``, with a number where another member is called so."""
    path = PurePosixPath(name)
    others = (path.with_name(f"{path.stem}~{n}{path.suffix}").as_posix() for n in count(2))
    found = next(candidate for candidate in chain((name,), others) if candidate not in taken)
    taken.add(found)
    return found


def archive_parts(data: bytes, source: Source, start: int, read_one: ReadOne) -> Iterator[Part]:
    """The members from the ``start``-th on, each with what reads it.

    A member that cannot be read comes as a failure with its reason. Raises ``ArticleError`` where
    the archive itself cannot be read.
    """
    package = open_package(data)
    members = [m for m in package.infolist() if not m.filename.endswith("/")]
    listed = [(m, n) for m, n in zip(members, map(harmless, member_names(members)), strict=True) if _is_ours(n)]
    if not listed:
        raise ArticleError("压缩包里没有文件。请放入文章后再试。")
    taken: set[str] = set()
    names = [_unlike(name, taken) for _, name in listed]
    for (member, _), name in list(zip(listed, names, strict=True))[start:]:
        inner = Source(f"{source.id}/{name}", f"{source.path}/{name}", PurePosixPath(name).stem)
        yield inner.path, partial(_read_member, package, member, inner, read_one)
