"""The missing: known files that are not where they were are looked for beside their log, and given up with a gap."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

import msgspec

from shipper.config import FileInput
from shipper.inputs import loss
from shipper.inputs.admission import Admission
from shipper.inputs.adoption import Adoption
from shipper.inputs.changes import Changes
from shipper.inputs.discovery import Found
from shipper.inputs.identity import Known
from shipper.inputs.roster import Roster
from shipper.inputs.search import Inodes, Names, Sibling, find_holder, namesakes_of, siblings_of
from shipper.inputs.succession import Successors, is_reused
from shipper.journal import Position

MISSING_FOLDER_SECONDS = 60.0
"""How long a file is waited for whose folder can't be listed: it may be mounted again."""


class Missing:
    """Looks, at each scan, for the files of ``known`` that no tail of ``roster`` follows. One is given up after
    ``grace_seconds``, when no file holds what was read or seen of it."""

    def __init__(
        self,
        roster: Roster,
        known: Known,
        admission: Admission,
        adoption: Adoption,
        host: str,
        grace_seconds: float,
    ) -> None:
        self._roster = roster
        self._known = known
        self._admission = admission
        self._adoption = adoption
        self._host = host
        self._grace_seconds = grace_seconds
        self._since: dict[str, float] = {}
        self._sought: dict[str, list[Sibling]] = {}
        """Where a missing file was looked for in vain, by key: not again before something changed there."""

    def seek(
        self,
        at_path: Mapping[str, Found],
        troubles: Mapping[str, str],
        watch_of: Callable[[Position], FileInput],
        now: float,
        changes: Changes,
    ) -> None:
        """Look once. ``at_path`` are the files that were found, ``troubles`` the paths that can't be read."""
        missing = [p for p in self._known.all() if not (p.done or p.lost or p.backfilled)]
        keys = {position.key for position in missing}
        self._since = {key: since for key, since in self._since.items() if key in keys}
        self._sought = {key: siblings for key, siblings in self._sought.items() if key in keys}
        listed: Names = {}
        inodes: Inodes = {}
        given_up: list[tuple[Position, bool]] = []
        for position in missing:
            one = at_path.get(position.path)
            if one is None and position.path == position.stream and _is_unnamed(position):
                continue  # if a pattern names it again, it goes on where it was left
            first_look = position.key not in self._since
            since = self._since.setdefault(position.key, now)
            siblings = siblings_of(position.path, position.stream, listed)
            watch = watch_of(position)
            same_inode = (
                one is not None
                and one.inode_key == (position.device, position.inode)
                and not is_reused(position, self._roster.at(*one.inode_key), one)
            )
            if one is not None and one.path in troubles:
                continue  # it may be the very file, once it can be read again
            candidates = (siblings or []) + namesakes_of(position, inodes)
            sought = siblings is not None and candidates == self._sought.get(position.key)
            holder = find_holder(position, candidates, self._roster.follows) if not sought else None
            if holder is None and siblings is not None:
                self._sought[position.key] = candidates
            if holder is not None:
                tail = self._admission.follow_away(holder[1], holder[0].path, watch, now, position)
                self._since.pop(position.key)
                self._sought.pop(position.key, None)
                if same_inode:
                    changes.gaps.append(loss.truncated(position, position.offset, tail.kept, self._host))
                elif tail.kept < position.size:
                    changes.gaps.append(loss.vanished(position, self._host, kept=tail.kept))
                tail.missed()
            if first_look or holder is not None:
                self._adoption.ask(position.stream, position.path, position.mtime_ns, watch, now)
            if holder is None and now - since >= (
                self._grace_seconds if siblings is not None else MISSING_FOLDER_SECONDS
            ):
                given_up.append((position, same_inode))
        self._give_up(given_up, changes)

    def _give_up(self, given_up: list[tuple[Position, bool]], changes: Changes) -> None:
        """Record what is gone; ``True`` where its file is still there and was truncated."""
        successors = Successors(self._roster)
        for position, same_inode in given_up:
            self._since.pop(position.key, None)
            self._sought.pop(position.key, None)
            reach = successors.reach(position)
            if reach:
                if same_inode:
                    # Of what came between the copy and the truncation nobody knows.
                    changes.gaps.append(loss.truncated(position, position.offset, reach, self._host))
                elif reach < position.size:
                    changes.gaps.append(loss.vanished(position, self._host, kept=reach))
                self._known.remove(position.key)
                changes.forget.append(position.key)
                continue
            if same_inode:
                left = self._may_be_left(position)
                changes.gaps.append(loss.truncated(position, position.offset, left, self._host))
            else:
                changes.gaps.append(loss.vanished(position, self._host))
            if position.only_seen:
                self._known.remove(position.key)
                changes.forget.append(position.key)
                continue
            gone = msgspec.structs.replace(position, lost=True, seen_ns=time.time_ns())
            self._known.add(gone)
            changes.positions.append(gone)

    def _may_be_left(self, position: Position) -> int:
        """So many first bytes of a truncated file may be those that were seen. Of what was read it is known that they
        are not all there, of what was only seen that they are fewer than those that are known by their hash."""
        tail = self._roster.at(position.device, position.inode)
        return min(position.head_length - 1, tail.proven_size) if position.only_seen and tail is not None else 0


def _is_unnamed(position: Position) -> bool:
    """Whether the file is where it was, so that it is not missing: no pattern names it any more."""
    try:
        status = os.stat(position.path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (position.device, position.inode)
