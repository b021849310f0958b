"""The body of a request: unpacked within the limits of its size, or refused; and the lines of a raw one."""

from __future__ import annotations

import re
import zlib

from msgspec import Struct

from tests.hec.answer import Answer, hec_answer, http_answer
from tests.hec.envelope import Envelope, Reading
from tests.hec.wire import Request


class Sizes(Struct, frozen=True, kw_only=True):
    """Limits in bytes: of a body (as sent, and unpacked) and of one event's envelope.

    ``early`` answers 413 by the length in the head and closes, without reading the body.
    """

    content_max_bytes: int = 838_860_800
    event_max_bytes: int = 5 * 1024 * 1024
    early: bool = False


def unpack(request: Request, sizes: Sizes, *, cloud: bool) -> bytes | Answer:
    """The body as it was before it was packed, or the answer that refuses it."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    body = request.body
    most = sizes.content_max_bytes
    if encoding == "gzip" and len(body) <= most:
        unpacking = zlib.decompressobj(wbits=31)
        try:
            body = unpacking.decompress(body, most + 1)
        except zlib.error:
            return hec_answer(6)
        if not unpacking.eof and len(body) <= most:
            return hec_answer(6)
    elif encoding not in ("identity", "gzip"):
        return http_answer(415)
    if len(body) > most:
        return hec_answer(6, 0) if cloud else http_answer(413)
    return body


def read_lines(request: Request, body: bytes) -> Reading:
    """Each line of a raw body as an event, with the metadata of the query."""
    query = request.query
    lines = (line for line in re.split(rb"[\r\n]+", body) if line)
    return Reading(
        tuple(
            Envelope(
                number=number,
                raw=line,
                event=line.decode(errors="replace"),
                host=query.get("host"),
                source=query.get("source"),
                sourcetype=query.get("sourcetype"),
                index=query.get("index"),
            )
            for number, line in enumerate(lines)
        )
    )
