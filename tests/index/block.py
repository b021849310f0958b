"""Blocks whose rests are JSON however many they are, as older connlogs wrote them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shipper.index.block import Block, BlockCodec


def json_block(codec: BlockCodec, rests: Sequence[bytes], originals: Sequence[bytes]) -> Block:
    """The block of encoded records and their originals."""
    return Block(codec, codec._pack(msgspec.msgpack.encode(rests), originals, None, columns=False))
