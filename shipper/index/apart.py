"""The lines apart: the originals of a block as templates and columns, each unpacked when it is first asked for."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from itertools import accumulate

import msgspec
import zstandard

from shipper.index.mould import Moulds
from shipper.index.stored import Window
from shipper.index.template import Sheet, Template, lines_with, put_together

LINES_MIN = 32
"""Fewer lines are smaller as they are, packed with a dictionary that knows their kind."""
COLUMN_BYTES_MAX = 1 << 30
LEVEL = 1

SHARED_CACHED_MAX = 4096
"""Templates whose shared text is remembered as it was decoded; blocks have the same ones."""
SHARED_CACHED_BYTES_MAX = 16 << 10
"""Of one of them; a longer one is decoded anew for each block."""

_COUNT = struct.Struct(">HI")
_sheet_encoder = msgspec.msgpack.Encoder()
Frame = Callable[[bytes | memoryview], bytes]


class _Template(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A template whose ``shared`` is not decoded yet."""

    shared: msgspec.Raw
    columns: list[int]
    count: int
    between: bytes


class _Sheet(msgspec.Struct, frozen=True, array_like=True, gc=False):
    templates: list[_Template]
    order: bytes
    plain: bool
    digits: bytes


_sheet_decoder = msgspec.msgpack.Decoder(_Sheet)
_shared_decoder = msgspec.msgpack.Decoder(list[bytes])


class Apart:
    """Lines as ``pack_apart`` packed them; ``inflate`` unpacks what the dictionary of the index is needed for. All raise
    ValueError where what they need is damaged. ``keys``: for each template bytes that are the same for the same shared
    text."""

    def __init__(self, data: bytes | memoryview | Window, inflate: Frame) -> None:
        try:
            count, length = _COUNT.unpack(data[: _COUNT.size])
            begin = _COUNT.size + 4 * count
            lengths = struct.unpack(f">{count}I", data[_COUNT.size : begin])
            sheet = _sheet_decoder.decode(inflate(data[begin : begin + length]))
            decoded = [_decoded(bytes(one.shared)) for one in sheet.templates]
        except (struct.error, msgspec.MsgspecError) as error:
            raise ValueError(str(error)) from error
        self.keys = [key for key, _ in decoded]
        pairs = zip(sheet.templates, decoded, strict=True)
        templates = [Template(shared, one.columns, one.count, one.between) for one, (_, shared) in pairs]
        self.sheet = Sheet(templates, sheet.order, sheet.plain, sheet.digits)
        self._data = data
        self._ends = list(accumulate(lengths, initial=begin + length))
        self._columns: dict[int, bytes] = {}
        self._values: dict[int, list[bytes]] = {}
        self._firsts: dict[int, dict[int, int]] = {}
        self._inflate = zstandard.ZstdDecompressor().decompress
        self._lines: list[bytes] | None = None

    def __len__(self) -> int:
        """How many columns there are."""
        return len(self._ends) - 1

    def lines(self) -> list[bytes]:
        """All lines."""
        if self._lines is None:
            self._lines = put_together(self.sheet, [self.column(number) for number in range(len(self))])
        return self._lines

    def line(self, place: int) -> bytes:
        """The line at ``place`` (from 0)."""
        try:
            if self._lines is not None:
                return self._lines[place]
            number = self.sheet.order[place]
            row = self.sheet.order.count(number, 0, place)
            template = self.sheet.templates[number]
            parts = [template.shared[0]]
            for at, which in enumerate(template.columns):
                values = self._values.get(which)
                if values is None:
                    values = self._values[which] = self.column(which).split(b"\n")
                parts += (values[self.first_value(number, at) + row], template.shared[at + 1])
        except IndexError as error:
            raise ValueError("its lines are not as many as its templates say") from error
        return b"".join(parts)

    def first_value(self, number: int, place: int) -> int:
        """Where in its column the values at ``place`` of the lines of template ``number`` begin."""
        which = self.sheet.templates[number].columns[place]
        firsts = self._firsts.get(which)
        if firsts is None:
            firsts = self._firsts[which] = {}
            end = 0
            for at, template in enumerate(self.sheet.templates):
                if which in template.columns:
                    firsts[at] = end
                    end += template.count * template.columns.count(which)
        template = self.sheet.templates[number]
        return firsts[number] + template.count * template.columns[:place].count(which)

    def sharing(self, holds: Callable[[bytes], object]) -> set[int]:
        """The places of lines that share a text which ``holds`` what is looked for; it is asked once for each template,
        with all of that, line ends between."""
        templates, order = self.sheet.templates, self.sheet.order
        which = {number for number, one in enumerate(templates) if holds(b"\n".join(one.shared))}
        if len(which) == len(templates):
            return set(range(len(order)))
        return {place for place, number in enumerate(order) if number in which} if which else set()

    def holding(self, literal: bytes) -> set[int]:
        """The places of lines that may hold ``literal``, all that do among them."""
        return lines_with(self.sheet, lambda number: b"\n%b\n" % self.column(number), literal)

    def column(self, number: int) -> bytes:
        """A column, a line end between its values."""
        known = self._columns.get(number)
        if known is None:
            try:
                frame = self._data[self._ends[number] : self._ends[number + 1]]
                known = self._inflate(frame, max_output_size=COLUMN_BYTES_MAX)
            except (IndexError, zstandard.ZstdError, MemoryError) as error:
                raise ValueError(str(error)) from error
            self._columns[number] = known
        return known


def _decoded(raw: bytes) -> tuple[bytes, list[bytes]]:
    return _cached(raw) if len(raw) <= SHARED_CACHED_BYTES_MAX else (raw, _shared_decoder.decode(raw))


@lru_cache(SHARED_CACHED_MAX)
def _cached(raw: bytes) -> tuple[bytes, list[bytes]]:
    return raw, _shared_decoder.decode(raw)


class ApartPacker:
    """Packs lines apart; ``deflate`` is the packing with the dictionary of the index."""

    def __init__(self, deflate: Frame) -> None:
        self._deflate = deflate
        self._compress = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress
        self._moulds = Moulds()

    def pack(self, lines: Sequence[bytes], hints: Sequence[Hashable] | None = None) -> bytes | None:
        """Lines for ``Apart``; None where they are better kept as they are. ``hints``: as ``Moulds`` takes them."""
        apart = self._moulds.take_apart(lines, hints) if len(lines) >= LINES_MIN else None
        if apart is None:
            return None
        sheet, columns = apart
        head = self._deflate(_sheet_encoder.encode(sheet))
        frames = [self._compress(column) for column in columns]
        lengths = struct.pack(f">{len(frames)}I", *map(len, frames))
        return b"".join((_COUNT.pack(len(frames), len(head)), lengths, head, *frames))
