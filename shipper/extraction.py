"""Bytes of one source in, records out: framing, parsing and normalisation behind one seam.

An ``Extractor`` is built for one stream (one file, one journal unit, one pipe) from plain data and
gives plain data back, so that a reader can be killed at any byte and go on from what it persisted.

Bare lines take the way of the scanner: the bytes ``connection_log`` are looked for in the whole buffer
and only the entries around them are looked at; the rest is counted, never split. Wrapped lines
(journald, Docker, ...) are taken one by one. A line at column 0 tells which of the two it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from shipper.framing import scan
from shipper.framing.chain import NEEDLE, Carry, Chain, Entry, announces_more, opens_block
from shipper.framing.wrapper import WRAPPERS, Piece, Unwrap, begun, recognise, torn
from shipper.recognition import Recogniser
from shipper.record import Encoded, Malformed, Record, Source, Yield, encoded

FIRST_LINES_COUNT = 16
"""Lines at the start of a source that are looked at one by one for a wrapper; later only a line that may be ours tells."""
CHAINS_MAX_COUNT = 256
"""Streams inside one wrapped source that may hold something back at the same time."""
LINE_MAX_BYTES = 1_048_576
_CR = ord("\r")


class Extractor:
    """Takes the bytes of one source in order and gives its connection events.

    ``offset`` and ``line`` say where the next bytes begin, ``carry`` what an earlier extractor of the same
    source held back; all three are this object's own attributes at any moment, and one built from them goes
    on exactly there. ``wrapper`` is ``auto``, ``none`` or a name of ``framing.wrapper.WRAPPERS``. A line of
    more than ``line_max_bytes`` is malformed if it is ours, and is kept in part. Without ``by_scan`` every line is
    looked at, one by one: slower, and equal in result. Not ``counted``, the yields of bare lines have no counts of
    entries and lines, and ``Malformed.line`` is 0; not ``placed``, no offset: for sources without one that lasts. Where
    ``originals``, asked with each piece of bytes, says no, the yield has none. ``decoded``, it has records and not their text.
    """

    def __init__(
        self,
        source: Source,
        *,
        format: str = "auto",
        wrapper: str = "auto",
        tz: str = "UTC",
        compact: bool = True,
        line_max_bytes: int = LINE_MAX_BYTES,
        offset: int = 0,
        line: int = 1,
        carry: bytes = b"",
        by_scan: bool = True,
        counted: bool = True,
        placed: bool = True,
        originals: Callable[[], bool] | None = None,
        decoded: bool = False,
    ) -> None:
        self._originals, self._keeps, self._decoded = originals, True, decoded
        self._recogniser = Recogniser(source, format=format, tz=tz, compact=compact, placed=placed, decoded=decoded)
        self._verdict = self._recogniser.verdict
        self._auto, self._by_scan, self._counted = wrapper == "auto", by_scan, counted
        # Where one form alone is asked for, each verdict must know of it.
        self._render = self._recogniser.render if format == "auto" and placed else None
        self._usual = self._recogniser.usual if format == "auto" else None
        self._line_max_bytes = line_max_bytes
        self.offset, self.line = offset, line
        state = msgspec.msgpack.decode(carry, type=Carry) if carry else Carry()
        self._mode = state.mode or ("" if wrapper in ("auto", "none") else wrapper)
        self._skipping = state.skipping
        self._chains = state.chains
        self._tail = b""
        self._open = (-1, 0)
        """Where a many-line field's line begins that waits for more, and how far those after it were looked at."""
        self._fresh = state.fresh if carry or offset else FIRST_LINES_COUNT if self._auto else 0
        self._yield = Yield()

    @property
    def carry(self) -> bytes:
        """Opaque state that belongs to ``offset``; empty most of the time."""
        chains = {name: chain for name, chain in self._chains.items() if chain.waiting}
        fresh = self._fresh if self.offset else 0
        if not (chains or self._mode or self._skipping or fresh):
            return b""
        return msgspec.msgpack.encode(Carry(self._mode, fresh, self._skipping, chains))

    @property
    def waiting(self) -> bool:
        """Whether bytes or an entry are held back until more comes."""
        return bool(self._tail) or self._chains_wait()

    def _chains_wait(self) -> bool:
        return any(chain.waiting for chain in self._chains.values())

    def feed(self, data: bytes, *, again: bool = False) -> Yield:
        """Takes the bytes that follow those taken before; ``again``, all from ``offset`` on, some of them anew."""
        if self._tail and not again:
            data = self._tail + data
        return self._run(data, flush=False, final=False)

    def flush(self, final: bool = False) -> Yield:
        """Gives what waited for more although it is complete; with ``final`` the source has ended, and what
        is left is taken as it is, a last line without newline too."""
        data = self._tail
        own_newline = final and bool(data) and not data.endswith(b"\n")
        result = self._run(data + b"\n" * own_newline, flush=True, final=final)
        result.bytes -= own_newline
        self.offset -= own_newline
        return result

    # -- the buffer ------------------------------------------------------------------------

    def _run(self, data: bytes, *, flush: bool, final: bool) -> Yield:
        out = self._yield = Yield()
        self._found: list[Any] = out.made if self._decoded else out.encoded
        self._keeps = self._originals is None or self._originals()
        self._tail = b""
        if self._skipping and data:
            data = self._skip(data)
        end = data.rfind(b"\n") + 1
        at = 0
        if end:
            if self.offset == 0 and data.startswith(b"\xef\xbb\xbf"):
                at = self._advance(data, 0, 3)
            if self._mode or not self._by_scan or self._fresh or self._chains_wait():
                at = self._wrapped(data, at, end)
            if at < end:
                at = self._bare(data, at, end, flush=flush, final=final)
                if at < 0:  # a wrapped line was met on the way
                    at = self._wrapped(data, -at - 1, end)
        if flush:
            for chain in self._chains.values():
                self._flush_chain(chain, final=final)
        if len(data) - at > self._line_max_bytes and data.find(b"\n", at) < 0:
            at = self._begin_skip(data, at)
        self._tail = data[at:] if at else data
        out.entries += len(self._found) + len(out.malformed) + out.not_ours
        if not self._counted and out.malformed:
            out.malformed = [msgspec.structs.replace(found, line=0) for found in out.malformed]
        out.drift = self._recogniser.normaliser.take_drift()
        return out

    def _advance(self, data: bytes, start: int, end: int, lines: int | None = None) -> int:
        """Counts ``data[start:end]`` as done with, which has so many ``lines`` where that is known."""
        lines = data.count(b"\n", start, end) if lines is None else lines
        self._yield.lines += lines
        self._yield.bytes += end - start
        self.line += lines
        self.offset += end - start
        return end

    # -- bare lines ------------------------------------------------------------------------

    def _bare(self, data: bytes, start: int, end: int, *, flush: bool, final: bool) -> int:
        """Scans the complete lines of ``data[start:end]``; gives how far it came, or ``-1 - n`` where at ``n``
        a wrapped line begins."""
        find, rfind, base = data.find, data.rfind, self.offset - start
        # Lines inside entries of ours, that look like entries.
        inner = -len(self._found) - len(self._yield.malformed)
        stop = end if final else scan.hold(data, start, end)
        render, keep = self._render, self._found.append
        keep_original = self._yield.originals.append if self._keeps else None
        blanks, more_ends = scan.BLANKS, scan.MORE_ENDS
        longest, alone, at = self._line_max_bytes + 1, not inner, start
        begun_here = self._open[0] == base + start and not flush and stop == end and stop - start <= longest
        if begun_here and scan.block_end(data, self._open[1] - base, stop)[1]:
            # A field that comes in many pieces is not looked at again with each.
            self._open = base + start, base + stop
            return start
        for _, hit, _ in scan.hits(data):
            if hit < at:
                continue
            if hit >= stop:
                break
            begin, over = at, find(b"\n", at) if alone else -1
            if over < hit:
                begin, over, alone = rfind(b"\n", at, hit) + 1 or at, find(b"\n", hit), False
            raw = data[begin:over]
            # What stands behind a blank is never rendered: a header begins with its line.
            if raw[-1] not in more_ends and over - begin < longest and render is not None:
                record = render(raw, base + begin)
                if record is not None:
                    keep(record)
                    if keep_original is not None:
                        keep_original(raw)
                    at = over + 1
                    continue
            over, many = over + 1, False
            if data[begin] in blanks:
                document, alone = scan.document(data, at, begin, stop), False
                if document is None:
                    self._yield.lookalikes += 1
                    at = over
                    continue
                begin, over = document
                many = True
            elif data[over - 2] in more_ends:
                if data[over - 2] == _CR and data[begin] == scan.BRACE:
                    many = True  # not many lines, but none for the usual way
                elif announces_more(scan.head_end(data, begin, over)):
                    block = over
                    over, open_ended = scan.block_end(data, over, stop)
                    may_go_on = open_ended and stop == end and stop - begin <= longest
                    if may_go_on and not final and (not flush or over == block):
                        self._open = base + begin, base + stop
                        stop = begin  # its lines may still come
                        break
                    many = True
            taken = self._take(data, begin, over, base)
            alone = alone and not many and taken is not None
            if taken is None:
                if self._auto and recognise(scan.first_line(data, begin)) is not None:
                    self._count(data, start, begin, inner, alone=False)
                    return -1 - begin
                self._yield.lookalikes += 1
            elif many:
                inner += scan.count_entries(data, begin, over) - 1
            at = over
        self._count(data, start, stop, inner, alone=alone and at == stop)
        return stop

    def _take(self, data: bytes, begin: int, over: int, base: int) -> Record | Malformed | None:
        """The verdict on the bare entry ``data[begin:over]``, kept if it is ours; ``base`` is the offset of data."""
        raw = data[begin : over - 1]
        if raw[0] in scan.BEFORE_TEXT:
            raw = scan.text_of(raw)
        if b"\r" in raw:
            raw = scan.without_cr(raw)
        length = over - begin
        entry = Entry(raw, base + begin, 0, length)
        verdict = self._verdict(entry) if length - 1 <= self._line_max_bytes else self._overlong(entry)
        if isinstance(verdict, Malformed):
            # Only here the number of the line is wanted; up to here nobody counted.
            line = self.line + data.count(b"\n", self.offset - base, begin)
            verdict = msgspec.structs.replace(verdict, line=line)
        self._keep(verdict, raw)
        return verdict

    def _keep(self, verdict: Record | Encoded | Malformed | None, raw: bytes) -> None:
        if isinstance(verdict, Malformed):
            self._yield.malformed.append(verdict)
        elif verdict is not None:
            text = encoded(verdict) if isinstance(verdict, Record) else verdict
            self._found.append(text.record() if self._decoded else text)
            if self._keeps:
                self._yield.originals.append(raw)

    def _count(self, data: bytes, start: int, stop: int, inner: int, *, alone: bool) -> None:
        """Counts the entries of ``data[start:stop]``. ``alone``: each of its lines is one of ours, and all of ours are."""
        ours = len(self._found) + len(self._yield.malformed)
        if alone or not self._counted:
            self._advance(data, start, stop, ours if self._counted else 0)
            return
        lines = scan.count_lines(data, start, stop)
        self._yield.not_ours += lines - scan.count_inner(data, start, stop) - inner - ours
        self._advance(data, start, stop, lines)

    # -- lines that are too long -----------------------------------------------------------

    def _overlong(self, entry: Entry) -> Malformed | None:
        """An entry over the limit, kept in part if it begins like one of ours."""
        limit = self._line_max_bytes
        entry.raw = entry.raw[:limit]
        ours = NEEDLE in entry.raw[:4096] and self._recogniser.verdict(entry) is not None
        if not ours and entry.lost is None:
            return None
        return self._recogniser.malformed(
            entry, f"the entry is longer than {limit} bytes; what is beyond is left out", limit
        )

    def _begin_skip(self, data: bytes, at: int) -> int:
        """Gives up on a line that is over the limit and still has no end."""
        length = len(data) - at
        piece = begun(data[at:], self._mode, self._line_max_bytes, auto=self._auto)
        entry = Entry(piece.text, self.offset, self.line, length, lost=piece.lost)
        verdict = self._overlong(entry)
        self._keep(verdict, b"")
        if verdict is None:
            self._yield.not_ours += 1
        self._seen(entry, verdict)
        self._skipping = 1
        self._yield.bytes += length
        self.offset += length
        return len(data)

    def _skip(self, data: bytes) -> bytes:
        """What follows the end of the line that was given up."""
        end = data.find(b"\n") + 1
        if end:
            self._skipping = 0
        self._advance(data, 0, end or len(data))
        return data[end:] if end else b""

    # -- wrapped lines ---------------------------------------------------------------------

    def _wrapped(self, data: bytes, at: int, end: int) -> int:
        """Takes complete lines one by one, each out of its wrapper."""
        unwrap: Unwrap | None = WRAPPERS.get(self._mode)
        while at < end:
            over = data.index(b"\n", at) + 1
            line = data[at : over - 1] if data[at] not in scan.BEFORE_TEXT else scan.text_of(data[at : over - 1])
            piece = unwrap(line) if unwrap is not None else None
            # Which lines may tell a wrapper must not depend on the pieces that the bytes come in.
            if piece is None and self._auto and (self._mode or self._fresh or NEEDLE in line):
                name = recognise(line)
                if name is not None:
                    self._mode, unwrap = name, WRAPPERS[name]
                    piece = unwrap(line)
            piece = piece or Piece(line, lost=torn(line, self._mode, first=self._fresh > 0))
            self._piece(piece, over - at)
            self._advance(data, at, over)
            at = over
            if self._fresh:
                self._fresh -= 1
            elif not self._mode and self._by_scan and not self._chains_wait():
                break
        return at

    def _piece(self, piece: Piece, length: int) -> None:
        """Puts one piece into its stream's chain."""
        chain = self._chains.get(piece.stream)
        if chain is None:
            if len(self._chains) >= CHAINS_MAX_COUNT:
                self._drop_idle_chain()
            chain = self._chains[piece.stream] = Chain()
        if chain.partial_offset < 0:
            chain.partial_offset, chain.partial_line, chain.partial_cursor = self.offset, self.line, piece.cursor
        text = chain.partial + piece.text
        chain.partial_length += length
        if piece.joint is not None:
            chain.partial = (text + piece.joint)[: self._line_max_bytes + 1]
            return
        self._logical(chain, chain.joined(text, piece.meta, piece.lost))

    def _logical(self, chain: Chain, entry: Entry) -> None:
        """Takes one whole line of coderd's output."""
        text = entry.raw
        if chain.lines:
            if chain.goes_on(entry, self._line_max_bytes, loose=self._mode == "prefix"):
                return
            self._close(chain)
        if text.startswith(b"    "):
            if NEEDLE in text:
                self._yield.lookalikes += 1
            self._seen(entry, None)
            return  # a continuation line of an entry that is not ours
        alone = text[:1] == b"{" and text[-1:] in b"}\r"  # not torn, with the end of a human line behind it
        if (not alone and NEEDLE in text and announces_more(text)) or (self._mode == "prefix" and opens_block(text)):
            chain.open(text, entry, json=False)
        elif text in (b"{", b"{\r"):
            chain.open(text, entry, json=True)
        else:
            self._finish(entry)

    def _close(self, chain: Chain) -> None:
        entry, blank_lines = chain.close()
        self._finish(entry)
        self._yield.not_ours += blank_lines

    def _finish(self, entry: Entry) -> None:
        """The verdict on one whole entry, kept if it is ours."""
        verdict: Record | Encoded | Malformed | None = None
        speaks = NEEDLE in entry.raw
        if len(entry.raw) > self._line_max_bytes:
            verdict = self._overlong(entry)
            self._keep(verdict, b"")
        elif speaks or entry.lost is not None:
            entry.raw = scan.without_cr(entry.raw)
            verdict = self._usual(entry) if self._usual is not None else None
            if verdict is None:
                verdict = self._verdict(entry)
            self._keep(verdict, entry.raw)
        if verdict is None:
            self._yield.lookalikes += speaks
            self._yield.not_ours += scan.count_within(entry.raw)
        self._seen(entry, verdict)

    def _seen(self, entry: Entry, verdict: Record | Encoded | Malformed | None) -> None:
        """Called for each entry that is looked at on its own, for those who want to watch."""

    def _drop_idle_chain(self) -> None:
        """Makes room: a chain that holds nothing goes; where all do, the oldest is taken as it is."""
        idle = next((name for name, chain in self._chains.items() if not chain.waiting), None)
        chain = self._chains.pop(idle if idle is not None else next(iter(self._chains)))
        self._flush_chain(chain, final=True)

    def _flush_chain(self, chain: Chain, *, final: bool) -> None:
        if final and chain.partial_offset >= 0:
            place = chain.partial_offset
            chain.partial_offset = -1
            self._logical(chain, Entry(chain.partial, place, chain.partial_line, len(chain.partial)))
            chain.partial = b""
        if chain.lines and (final or (len(chain.lines) > 1 and not chain.json)):
            self._close(chain)


__all__ = ["Extractor", "Yield"]
