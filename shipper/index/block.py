"""Blocks: whole records and their original lines, packed together, so that each comes back as it was.

A block is a zstandard frame of a msgpack array of byte strings: record, original, record, original, …
Records of one time resemble each other: together they take a third of what they take one by one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec
import zstandard

from shipper.record import Record, decode_record

BLOCK_EVENTS_MAX = 256
BLOCK_BYTES_MAX = 4 << 20
"""Most bytes of records and originals in one block, but for a single event that alone has more."""
FRAME_BYTES_MAX = 1 << 30
LEVEL = 3
CACHE_BLOCKS = 16

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


class BlockCodec:
    """Packs and unpacks blocks with the dictionary of one index."""

    def __init__(self, primer: bytes) -> None:
        known = zstandard.ZstdCompressionDict(primer, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=known, write_checksum=True)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=known)
        self._unpack = msgspec.msgpack.Decoder(list[bytes])

    def pack(self, items: Sequence[bytes]) -> bytes:
        """The block of ``items``: records and originals by turns."""
        return self._compressor.compress(msgspec.msgpack.encode(items))

    def unpack(self, data: bytes) -> list[bytes]:
        """The items of a block; raises ValueError where it is damaged."""
        try:
            return self._unpack.decode(self._decompressor.decompress(data, max_output_size=FRAME_BYTES_MAX))
        except (zstandard.ZstdError, msgspec.MsgspecError, MemoryError) as error:
            raise ValueError(str(error)) from error


class BlockCache:
    """The blocks last used, unpacked: neighbours in an answer mostly share one. Holds at most ``CACHE_BLOCKS``."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, list[bytes]] = OrderedDict()

    def holding(self, event: int) -> tuple[int, list[bytes]] | None:
        """The block that holds ``event``: the number of its first event, and its items."""
        for block, items in reversed(self._blocks.items()):
            if block <= event < block + len(items) // 2:
                self._blocks.move_to_end(block)
                return block, items
        return None

    def put(self, block: int, items: list[bytes]) -> None:
        self._blocks[block] = items
        if len(self._blocks) > CACHE_BLOCKS:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        self._blocks.clear()


def group_blocks(records: Sequence[bytes], originals: Sequence[bytes]) -> list[list[bytes]]:
    """Encoded records and originals as the items of blocks, each within the bounds, in order."""
    blocks: list[list[bytes]] = []
    size = BLOCK_BYTES_MAX + 1
    for record, original in zip(records, originals, strict=True):
        length = len(record) + len(original)
        if size + length > BLOCK_BYTES_MAX or len(blocks[-1]) >= 2 * BLOCK_EVENTS_MAX:
            blocks.append([])
            size = 0
        blocks[-1] += (record, original)
        size += length
    return blocks


def record_at(items: Sequence[bytes], place: int) -> Record:
    """The record at ``place`` (from 0) of a block, without its cells; raises ValueError where there is none."""
    try:
        return decode_record(items[2 * place])
    except (IndexError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error


def original_at(items: Sequence[bytes], place: int) -> bytes:
    """The original entry at ``place`` (from 0) of a block; raises ValueError where there is none."""
    try:
        return items[2 * place + 1]
    except IndexError as error:
        raise ValueError(str(error)) from error
