"""An event of the corpus's truth as the log call that it was: what the renderers are checked with."""

from __future__ import annotations

from typing import Any

from tests.render.entry import VARIANTS, Entry, Fields, Moment, Number, Text, Uuid, is_named, kind_of


def entry_of(truth: dict[str, Any]) -> Entry:
    """The log call of one object of a ``.truth.ndjson``."""
    fields = truth["fields"]
    raw = {key: bytes.fromhex(text) for key, text in (truth.get("raw_hex") or {}).items()}
    shifted = "+02:00" in (truth.get("note") or "")
    own: list[tuple[str, Any]] = []
    for key in VARIANTS[truth["variant"]]:
        value, kind = fields[key], kind_of(key)
        if kind is Moment:
            own.append((key, Moment(value, 120, "CEST") if shifted else Moment(value)))
        elif kind is Text:
            own.append((key, Text(raw.get(key, (value or "").encode()), is_named(key))))
        else:
            own.append((key, kind(value)))
    context: list[tuple[str, Any]] = []
    if truth["request_id"] is not None:
        context.append(("request_id", Uuid(truth["request_id"])))
    for key, value in (truth.get("extra_fields") or {}).items():
        context.append((key, Number(value) if isinstance(value, int) else Text(value.encode())))
    names: Fields = tuple(context)
    return Entry(
        time=truth["log_time"],
        fields=tuple(own),
        context=names,
        level=truth["level"],
        logger=tuple(truth["logger"].split(".")),
        trace=truth.get("trace") or "",
        span=truth.get("span") or "",
    )
