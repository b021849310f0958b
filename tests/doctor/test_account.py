"""What the doctor says a user may do with a file is what the kernel lets that user do."""

from __future__ import annotations

import os
import random
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.doctor.account import ENTER, READ, WRITE, Account, of_process, of_user
from shipper.errors import AccessError, AccessMissing

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files of other owners take root")
UID, GID, MORE = 12_001, 12_001, (12_002, 12_003)
USER = Account("somebody", UID, frozenset((GID, *MORE)))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def kernel_says(asked: list[tuple[str, int]]) -> list[bool]:
    """The same questions, asked by a process that has become this user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(MORE)
            os.setgid(GID)
            os.setuid(UID)
            answers = bytes(os.access(path, want, effective_ids=True) for path, want in asked)
            os.write(writing, answers)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answers = pipe.read()
    os.waitpid(child, 0)
    return [bool(answer) for answer in answers]


def doctor_says(path: str, want: int) -> bool:
    try:
        USER.require(path, want)
    except AccessError:
        return False
    return True


def access_list(chance: random.Random) -> bytes:
    """Any valid list, in the order that the kernel wants (acl(5))."""
    ids = [UID, GID, *MORE, 13_000]
    entries = [(0x01, chance.randrange(8), 0xFFFFFFFF)]
    entries += [(0x02, chance.randrange(8), who) for who in sorted(chance.sample(ids, chance.randrange(3)))]
    entries += [(0x04, chance.randrange(8), 0xFFFFFFFF)]
    entries += [(0x08, chance.randrange(8), who) for who in sorted(chance.sample(ids, chance.randrange(3)))]
    entries += [(0x10, chance.randrange(8), 0xFFFFFFFF), (0x20, chance.randrange(8), 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_the_doctor_agrees_with_the_kernel_over_modes_owners_groups_and_access_lists(open_folder: Path) -> None:
    chance = random.Random(7)
    asked: list[tuple[str, int]] = []
    lists = 0
    for number in range(300):
        folder = open_folder / f"folder{number}"
        folder.mkdir()
        path = folder / "coderd.log"
        path.touch()
        for one, mode in (
            (path, chance.randrange(0o1000)),
            (folder, chance.choice((0o755, 0o750, 0o711, 0o700, 0o710))),
        ):
            os.chown(one, chance.choice((0, UID, 13_000)), chance.choice((0, GID, MORE[0], 13_000)))
            one.chmod(mode)
            if chance.random() < 0.4:
                try:
                    os.setxattr(one, "system.posix_acl_access", access_list(chance))
                    lists += 1
                except OSError:
                    continue  # a file system without them
        asked += [(str(path), want) for want in (READ, WRITE, READ | WRITE)]
        asked += [(str(folder), want) for want in (READ | ENTER, WRITE | ENTER)]
    truth = kernel_says(asked)
    assert len(truth) == len(asked)
    assert [doctor_says(*one) for one in asked] == truth
    assert lists == 0 or lists > 100
    assert len(set(truth)) == 2


def test_a_closed_folder_on_the_way_is_named_with_its_mode_and_owner(open_folder: Path) -> None:
    closed = open_folder / "coder"
    closed.mkdir(mode=0o700)
    (closed / "coderd.log").touch()
    with pytest.raises(AccessError, match=rf"somebody may not enter {closed} \(drwx------ root root\)"):
        USER.require(closed / "coderd.log", READ)


def test_links_are_followed_on_their_whole_way(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "coderd.log").touch()
    (open_folder / "link.log").symlink_to("closed/../closed/coderd.log")
    (open_folder / "loop").symlink_to("loop")
    with pytest.raises(AccessError, match="may not enter"):
        USER.require(open_folder / "link.log", READ)
    with pytest.raises(AccessError, match="more than 40 links"):
        USER.require(open_folder / "loop", READ)
    with pytest.raises(AccessMissing):
        USER.require(open_folder / "nothing", READ)


def test_root_itself_is_kept_from_nothing(open_folder: Path) -> None:
    (open_folder / "log").touch(mode=0o000)
    of_process().require(open_folder / "log", READ)


def test_a_user_that_does_not_exist_is_told() -> None:
    with pytest.raises(AccessError, match="there is no user nobody-of-this-name"):
        of_user("nobody-of-this-name")
    with pytest.raises(AccessError, match="there is no group nothing-of-this-name"):
        of_user("root", more=["nothing-of-this-name"])
