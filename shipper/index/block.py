"""Blocks: records without their cells and their original lines, packed together, so that each comes back as it was.

A block is a head, the originals and the rests of the records. The originals are apart, as templates and columns; those that
have no common shape are two zstandard frames, one with a line end behind each, and one of their lengths as 32-bit
numbers. So a pattern is looked for in all originals at once, and a row is read without them. The rests are one frame:
columns, or, of a few events, a msgpack array of their JSON.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate, pairwise

import msgspec
import zstandard

from shipper.index.apart import Apart, ApartPacker
from shipper.index.rest import PackedRests, Rests
from shipper.index.stored import Stored, Window
from shipper.record import Record, decode_record, encode_record

BLOCK_EVENTS_MAX = 512
BLOCK_BYTES_MAX = 4 << 20
"""Most bytes of records and originals in one block, but for a single event that alone has more."""
FRAME_BYTES_MAX = 1 << 30
LEVEL = 1
CACHE_BLOCKS = 16
COLUMNS_EVENTS_MIN = 32
"""Rests of fewer events are smaller as JSON, packed with a dictionary that knows their kind."""

_ID = "00000000-0000-0000-0000-000000000000"
_FULL = (
    f'{{"schema":1,"id":"{_ID}","time":"2026-01-01T00:00:00.000000000Z","status":"disconnected","type":"ssh",'
    f'"method":"ssh","app":null,"organization_id":"{_ID}","workspace_owner_id":"{_ID}","workspace_id":"{_ID}",'
    f'"workspace_name":"dev","agent_name":"main","agent_id":null,"user_id":null,"ip":"fd7a:115c:a1e0::1",'
    f'"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",'
    f'"slug_or_port":"code-server","code":null,"connection_id":"{_ID}","client_session_id":null,'
    f'"disconnect_reason":null,"request_id":"{_ID}","log":{{"time":"2026-01-01T00:00:00.000000000Z","level":"info",'
    '"logger":"coderd","format":"human","caller":null,"func":null,"trace":null,"span":null},"source":{"host":"coder",'
    '"input":"file","path":"/var/log/coder/coder.log","offset":0,"cursor":null,"meta":{}},"extra":{}}'
)
_HUMAN = (
    f"2026-01-01 00:00:00.000 [info]  coderd: connection_log  request_id={_ID}  ID={_ID}  OrganizationID={_ID}  "
    f"WorkspaceOwnerID={_ID}  WorkspaceID={_ID}  WorkspaceName=dev  AgentName=main  Type=workspace_app  Code=200  "
    f'Ip=127.0.0.1  UserAgent=""  UserID=<nil>  SlugOrPort=""  ConnectionID={_ID}  DisconnectReason=""  '
    'Time="2026-01-01T00:00:00.000000Z"  ConnectionStatus=connected'
)
_JSON = (
    '{"ts":"2026-01-01T00:00:00.000000Z","level":"INFO","msg":"connection_log","caller":"/home/runner/work/coder/'
    'enterprise/audit/backends/slog.go:38","func":"github.com/coder/coder/v2/enterprise/audit/backends.'
    f'(*SlogExporter).ExportStruct","logger_names":["coderd"],"fields":{{"request_id":"{_ID}","ID":"{_ID}",'
    f'"OrganizationID":"{_ID}","WorkspaceOwnerID":"{_ID}","WorkspaceID":"{_ID}","WorkspaceName":"dev",'
    '"AgentName":"main","Type":"port_forwarding","Code":null,"Ip":"\\u003cnil\\u003e","UserAgent":"","UserID":null,'
    f'"SlugOrPort":"","ConnectionID":"{_ID}","DisconnectReason":"","Time":"2026-01-01T00:00:00.000000Z",'
    '"ConnectionStatus":"disconnected"}}'
)
PRIMER = f"{_HUMAN}\n{_JSON}\n{_FULL}".encode()
"""What new indexes are primed with: a block of a single event is nearly as small as its share of a full one."""


_HEAD = struct.Struct(">BIII")
_WHOLE, _APART, _COLUMNS = 2, 3, 2
"""The first byte of a block: its originals are whole lines, or apart; and so much more where its rests are columns. One of
the oldest kind, which is a single frame, begins with zstandard's mark. The rest of the head: how many events, and two
lengths of what the originals take."""
_FORMS_APART, _FORMS_COLUMNS = (_APART, _APART + _COLUMNS), (_WHOLE + _COLUMNS, _APART + _COLUMNS)
_FORMS = bytes({_WHOLE, *_FORMS_APART, *_FORMS_COLUMNS})


class Block:
    """One block, of which each part is unpacked when it is first asked for; ValueError where that part is damaged."""

    def __init__(self, codec: BlockCodec, data: bytes | Stored) -> None:
        self._codec, self._data = codec, data
        self._originals: list[bytes] | None = None
        mark = data[:1]
        self._form = mark[0] if mark and mark in _FORMS else 0
        self._length = self._split = 0
        self._apart: Apart | None = None
        self._packed: PackedRests | None = None
        if self._form:
            try:
                _, events, self._length, self._split = _HEAD.unpack(data[: _HEAD.size])
            except struct.error as error:
                raise ValueError(str(error)) from error
            self.events = int(events)
            self._rests: list[bytes] | None = None
        else:
            items = codec.unpack(data[:])
            self.events = len(items) // 2
            self._rests, self._originals = items[::2], items[1::2]

    def __len__(self) -> int:
        return self.events

    @property
    def original_bytes(self) -> int:
        """What its originals take, packed; 0 where they are packed together with the records."""
        return self._length + self._split

    def apart(self) -> Apart | None:
        """Its originals apart, where they are kept so."""
        if self._apart is None and self._form in _FORMS_APART:
            begin = _HEAD.size + self._length
            end = begin + self._split
            whole = self._data
            part = Window(whole, begin, end) if isinstance(whole, Stored) else memoryview(whole)[begin:end]
            self._apart = Apart(part, self._codec.inflate)
        return self._apart

    def text(self) -> bytes:
        """All originals, a line end behind each."""
        if self._originals is not None or self._form in _FORMS_APART:
            return b"".join(original + b"\n" for original in self.originals())
        return self._codec.inflate(self._data[_HEAD.size : _HEAD.size + self._split])

    def originals(self) -> list[bytes]:
        """The original entries of all its events."""
        apart = self.apart()
        if self._originals is None and apart is not None:
            self._originals = apart.lines()
            if len(self._originals) != self.events:
                raise ValueError("it does not hold as many originals as it says")
        if self._originals is None:
            text = self.text()
            packed = self._codec.inflate(self._data[_HEAD.size + self._split :][: self._length])
            lengths = struct.unpack(f"<{len(packed) // 4}I", packed[: len(packed) // 4 * 4])
            ends = list(accumulate((length + 1 for length in lengths), initial=0))
            if len(lengths) != self.events or ends[-1] != len(text):
                raise ValueError("its originals are not as long as it says")
            self._originals = [text[begin : end - 1] for begin, end in pairwise(ends)]
        return self._originals

    def rests(self) -> list[bytes]:
        """The encoded records of all its events, without their cells."""
        if self._rests is None and self._form in _FORMS_COLUMNS:
            self._rests = [encode_record(self.record(place)) for place in range(self.events)]
        if self._rests is None:
            self._rests = self._codec.unpack(self._data[_HEAD.size + self._split + self._length :])
            if len(self._rests) != self.events:
                raise ValueError("it does not hold as many records as it says")
        return self._rests

    def record(self, place: int) -> Record:
        """The record at ``place`` (from 0), without its cells."""
        if self._form in _FORMS_COLUMNS:
            if self._packed is None:
                data = self._codec.inflate(self._data[_HEAD.size + self._split + self._length :])
                self._packed = PackedRests(data, self.events)
            return self._packed.record(place)
        try:
            return decode_record(self.rests()[place])
        except (IndexError, msgspec.MsgspecError) as error:
            raise ValueError(str(error)) from error

    def original(self, place: int) -> bytes:
        """The original entry at ``place`` (from 0)."""
        try:
            apart = self.apart() if self._originals is None else None
            return self.originals()[place] if apart is None else apart.line(place)
        except IndexError as error:
            raise ValueError(str(error)) from error


class BlockCodec:
    """Packs and unpacks blocks with the dictionary of one index."""

    def __init__(self, primer: bytes) -> None:
        known = zstandard.ZstdCompressionDict(primer, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=known, write_checksum=True)
        self._plain = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._apart = ApartPacker(self._compressor.compress)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=known)
        self._unpack = msgspec.msgpack.Decoder(list[bytes])

    def blocks(
        self, rests: Rests, originals: Sequence[bytes], hints: Sequence[Hashable] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """As many blocks as the bounds ask for, in order, behind the number of events of each. ``hints``: as
        ``Moulds`` takes them."""
        for first in range(0, len(rests), BLOCK_EVENTS_MAX):
            yield from self._within(rests, originals, hints, first, min(first + BLOCK_EVENTS_MAX, len(rests)))

    def _within(
        self, rests: Rests, originals: Sequence[bytes], hints: Sequence[Hashable] | None, first: int, last: int
    ) -> Iterator[tuple[int, bytes]]:
        """Blocks of the events from ``first`` up to, and without, ``last``: one, or of each half if one is too large."""
        lines, part, columns = originals[first:last], rests.part(first, last), True
        try:
            packed = part.pack() if last - first >= COLUMNS_EVENTS_MIN else b""
        except OverflowError:
            packed = b""
        if not packed:
            packed, columns = msgspec.msgpack.encode(part.json()), False
        if last - first > 1 and len(packed) + sum(map(len, lines)) > BLOCK_BYTES_MAX:
            middle = (first + last) // 2
            yield from self._within(rests, originals, hints, first, middle)
            yield from self._within(rests, originals, hints, middle, last)
        else:
            yield last - first, self._pack(packed, lines, None if hints is None else hints[first:last], columns=columns)

    def _pack(
        self, rests: bytes, originals: Sequence[bytes], hints: Sequence[Hashable] | None, *, columns: bool
    ) -> bytes:
        compress, more = self._compressor.compress, _COLUMNS if columns else 0
        # What is known of others is of no use to columns.
        packed = self._plain.compress(rests) if columns else compress(rests)
        apart = self._apart.pack(originals, hints)
        if apart is not None:
            return b"".join((_HEAD.pack(_APART + more, len(originals), 0, len(apart)), apart, packed))
        text = compress(b"\n".join((*originals, b"")))
        lengths = compress(struct.pack(f"<{len(originals)}I", *map(len, originals)))
        return b"".join((_HEAD.pack(_WHOLE + more, len(originals), len(lengths), len(text)), text, lengths, packed))

    def inflate(self, data: bytes | memoryview) -> bytes:
        """One frame; raises ValueError where it is damaged."""
        try:
            return self._decompressor.decompress(data, max_output_size=FRAME_BYTES_MAX)
        except (zstandard.ZstdError, MemoryError) as error:
            raise ValueError(str(error)) from error

    def unpack(self, data: bytes) -> list[bytes]:
        """The items of a frame that holds a list; raises ValueError where it is damaged."""
        try:
            return self._unpack.decode(self.inflate(data))
        except (msgspec.MsgspecError, MemoryError) as error:
            raise ValueError(str(error)) from error


class BlockCache:
    """The blocks last used: neighbours in an answer mostly share one. Holds at most ``CACHE_BLOCKS``."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, Block] = OrderedDict()

    def holding(self, event: int) -> tuple[int, Block] | None:
        """The block that holds ``event``, behind the number of its first event."""
        for first, block in reversed(self._blocks.items()):
            if first <= event < first + len(block):
                self._blocks.move_to_end(first)
                return first, block
        return None

    def put(self, first: int, block: Block) -> None:
        self._blocks[first] = block
        if len(self._blocks) > CACHE_BLOCKS:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        self._blocks.clear()
