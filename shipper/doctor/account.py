"""The account: a user with its groups, and what the modes, owners and access lists of files let it do.

It is asked of the files' own facts, so that root, who may do everything, learns what the service's user may do. Facts:
acl(5), and ``struct posix_acl_xattr_entry`` of the kernel for the attribute that holds an access list.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from msgspec import Struct

from shipper.errors import AccessError, AccessMissing, AccessUnknown

READ, WRITE, ENTER = 4, 2, 1
VERBS = {READ: "read", WRITE: "write", ENTER: "enter", WRITE | ENTER: "write into", READ | ENTER: "list"}
LINKS_MAX_COUNT = 40
"""As many symbolic links as the kernel follows."""
ENTRIES_MAX_BYTES = 64 << 10
_ACL = "system.posix_acl_access"
_HEADER, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_ACL_VERSION = 2
_USER, _GROUP_OBJ, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10


class Account(Struct, frozen=True):
    """``gids`` has every group. ``all_powerful``: no mode keeps it from anything, as root with its capabilities."""

    name: str
    uid: int
    gids: frozenset[int]
    all_powerful: bool = False

    def require(self, path: str | Path, want: int) -> os.stat_result:
        """The facts of what lies at an absolute path, links followed, where the account may get there and do ``want``.

        Raises AccessError where it may not or nothing is there, AccessUnknown where the one who asks can't tell."""
        here, todo, links = "/", list(reversed(PurePath(path).parts[1:])), 0
        found = _look(here)
        while todo:
            if not self._may(here, found, ENTER):
                raise AccessError(f"{self.name} may not enter {shown(here, found)}")
            name = todo.pop()
            there = os.path.dirname(here) if name == ".." else os.path.join(here, name)  # noqa: PTH118, PTH120 - text
            found = _look(there)
            if not stat.S_ISLNK(found.st_mode):
                here = there
                continue
            links += 1
            if links > LINKS_MAX_COUNT:
                raise AccessError(f"{there} leads through more than {LINKS_MAX_COUNT} links")
            target = _target(there)
            parts = PurePath(target).parts
            if target.startswith("/"):
                here, parts = "/", parts[1:]
            found = _look(here)
            todo += reversed(parts)
        if want and not self._may(here, found, want):
            raise AccessError(f"{self.name} may not {VERBS.get(want, 'use')} {shown(here, found)}")
        return found

    def _may(self, path: str, found: os.stat_result, want: int) -> bool:
        if self.all_powerful:
            return True
        return permitted(found, _access_list(path), self.uid, self.gids, want)


def permitted(
    found: os.stat_result, acl: Iterable[tuple[int, int, int]], uid: int, gids: frozenset[int], want: int
) -> bool:
    """Whether a user may do ``want`` (bits of READ, WRITE and ENTER) with a file. ``acl`` has tag, bits and id of each
    entry of its access list, and is empty where it has none."""
    mode, entries = found.st_mode, list(acl)
    if uid == found.st_uid:
        given = [mode >> 6]
    elif not entries or not mode & 0o070:
        # With a mask of nothing the kernel does not look at the list (acl_permission_check of fs/namei.c).
        given = [mode >> 3 if found.st_gid in gids else mode]
    else:
        mask = next((bits for tag, bits, _ in entries if tag == _MASK), 7)
        named = [bits & mask for tag, bits, who in entries if tag == _USER and who == uid]
        groups = [
            bits & mask
            for tag, bits, who in entries
            if (tag == _GROUP_OBJ and found.st_gid in gids) or (tag == _GROUP and who in gids)
        ]
        # Of several groups one alone must give all that is wanted.
        given = named[:1] or groups or [mode]
    return any(bits & want == want for bits in given)


def of_user(name: str, group: str = "", more: Iterable[str] = ()) -> Account:
    """The account of a user as systemd starts it. Raises AccessError where user or group does not exist."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise AccessError(f"there is no user {name}") from None
    gid = _gid(group) if group else entry.pw_gid
    gids = {*os.getgrouplist(name, gid), gid, *map(_gid, more)}
    return Account(name, entry.pw_uid, frozenset(gids))


def of_process() -> Account:
    """The account of this process."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"user {uid}"
    return Account(name, uid, frozenset((*os.getgroups(), os.getegid())), all_powerful=uid == 0)


def shown(path: str, found: os.stat_result) -> str:
    """A file with its mode and owners, as ``ls -l`` has them."""
    return f"{path} ({stat.filemode(found.st_mode)} {user_name(found.st_uid)} {group_name(found.st_gid)})"


def user_name(uid: int) -> str:
    """Of a user, its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Of a group, its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _gid(name: str) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise AccessError(f"there is no group {name}") from None


def _look(path: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise AccessMissing(f"{path} is not there") from None
    except OSError as error:
        raise AccessUnknown(f"{path} can't be looked at: {error.strerror}") from error


def _target(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError as error:
        raise AccessUnknown(f"{path} can't be looked at: {error.strerror}") from error


def _access_list(path: str) -> Iterator[tuple[int, int, int]]:
    if not hasattr(os, "getxattr"):
        return
    try:
        raw = os.getxattr(path, _ACL)
    except OSError:
        return  # has none, or is on a file system without
    if len(raw) < _HEADER.size or _HEADER.unpack_from(raw)[0] != _ACL_VERSION or len(raw) > ENTRIES_MAX_BYTES:
        return
    body = raw[_HEADER.size :]
    yield from _ENTRY.iter_unpack(body[: len(body) - len(body) % _ENTRY.size])
