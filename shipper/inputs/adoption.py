"""The adoption: files of a log that came and were rotated away while nobody looked are found and read whole.

They lie beside the log and are later than the last file known. A folder in which files are being renamed
can't be listed at one moment: names that are listed may be missing, or be another file's when they are
opened. So a look counts only if the folder was the same before and after it; until one did, nothing that
is later may be read, because what is later than the last file known would be looked for behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from shipper.config import FileInput
from shipper.errors import InputError
from shipper.inputs.content import Content
from shipper.inputs.identity import Known
from shipper.inputs.maker import MakeExtractor
from shipper.inputs.roster import Roster
from shipper.inputs.search import (
    TRIES_MAX_COUNT,
    Names,
    Sibling,
    later_ones,
    listing,
    open_as_listed,
    siblings_of,
)
from shipper.inputs.tail import Tail

UNSETTLED_MAX_SECONDS = 30.0
"""How long newer files wait for a look that counts, where files are renamed all the time."""


class Due(Struct):
    """A log to look for: files beside ``path`` written to since ``mtime_ns``; ``since`` is monotonic."""

    stream: str
    path: str
    mtime_ns: int
    watch: FileInput
    since: float


class Adoption:
    """Looks for such files and gives each a tail in ``roster``.

    ``judged`` says of a path that it isn't to be read, ``is_copy`` of a content that it is read under another name.
    """

    def __init__(
        self,
        roster: Roster,
        known: Known,
        make_extractor: MakeExtractor,
        judged: Callable[[str], bool],
        is_copy: Callable[[Content], bool],
    ) -> None:
        self._roster = roster
        self._known = known
        self._make_extractor = make_extractor
        self._judged = judged
        self._is_copy = is_copy
        self._due: dict[tuple[str, str], Due] = {}

    @property
    def unsettled(self) -> set[str]:
        """Streams of which it isn't known yet whether earlier files are to be read first."""
        return {stream for stream, _ in self._due}

    def ask(self, stream: str, path: str, mtime_ns: int, watch: FileInput, now: float) -> None:
        """Look beside ``path`` at the next ``settle``."""
        due = self._due.setdefault((stream, path), Due(stream, path, mtime_ns, watch, now))
        due.mtime_ns = min(due.mtime_ns, mtime_ns)

    def settle(self, now: float) -> None:
        """Look for everything that was asked for. What did not hold still is looked for again next time."""
        for _ in range(TRIES_MAX_COUNT):
            if not self._due:
                return
            before: Names = {}
            seen = {key: self._look(due, before, now) for key, due in self._due.items()}
            after: Names = {}
            for key, siblings in seen.items():
                due = self._due[key]
                if siblings is not None and listing(siblings) == listing(siblings_of(due.path, listed=after) or []):
                    del self._due[key]
        for key, due in list(self._due.items()):
            if now - due.since > UNSETTLED_MAX_SECONDS:
                del self._due[key]

    def _look(self, due: Due, listed: Names, now: float) -> list[Sibling] | None:
        """Adopt what is there; gives what was there, or None where a name was another file's by then."""
        siblings = siblings_of(due.path, listed=listed) or []
        still = True
        for sibling in later_ones(due.path, siblings, due.mtime_ns):
            if self._roster.at(sibling.device, sibling.inode) is not None or self._judged(sibling.path):
                continue
            try:
                content = open_as_listed(sibling)
            except InputError:
                continue  # unpacked for now; the listing tells whether it was in the making
            if content is None:
                still = False
                continue
            try:
                # Whether it is empty comes first: a copy in the making may have got its bytes by the last question.
                if not content.pread(0, 1):
                    content.close()
                    continue
                known = self._known.match(content.pread, sibling.device, sibling.inode)
                if known is not None or self._is_copy(content):
                    content.close()
                    continue
                start = self._known.begin_in(content.pread, due.stream)
            except InputError:
                content.close()
                continue
            tail = Tail(content, sibling.path, due.watch, self._make_extractor, now, stream=due.stream, start=start)
            tail.away_since = now
            tail.moved_to(sibling.path, named=False)
            tail.size = content.stat().st_size if content.growing else 0
            self._roster.add(tail)
        return siblings if still else None
