"""The envelopes that Splunk is sent for records and gaps: the contract's HEC form, written down once more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from shipper.record import CompactLog, CompactRecord, CompactSource, Gap, Record

INDEX = "security"


def epoch(text: str) -> float:
    """A record's time in seconds since 1970."""
    return datetime.fromisoformat(text[:26] + "+00:00").timestamp()


def envelope(record: Record) -> dict[str, Any]:
    """What is sent for a record."""
    values = {name: getattr(record, name) for name in record.__struct_fields__}
    log, source = values.pop("log"), values.pop("source")
    compact = CompactRecord(
        **values,
        log=CompactLog(**{name: getattr(log, name) for name in log.__struct_fields__}),
        source=CompactSource(**{name: getattr(source, name) for name in source.__struct_fields__}),
    )
    usable = record.time if record.time >= "1971" else record.log.time or "1971-01-01T00:00:00.000000000Z"
    return {
        "time": epoch(usable),
        "host": source.host or "coder-0",
        "source": source.path or "stdin",
        "sourcetype": "coder:connection_log",
        "index": INDEX,
        "event": msgspec.json.decode(msgspec.json.encode(compact)),
        "fields": {"event_id": record.id},
    }


def gap_envelope(gap: Gap) -> dict[str, Any]:
    """What is sent for a gap."""
    event = {key: value for key, value in msgspec.json.decode(msgspec.json.encode(gap)).items() if value is not None}
    return {
        "time": epoch(gap.detected),
        "host": gap.source.host or "coder-0",
        "source": gap.source.path or "stdin",
        "sourcetype": "connlog:gap",
        "index": INDEX,
        "event": event,
    }


_words = st.one_of(
    st.sampled_from(
        ["alice", 'x" OR user="root', "*", "null", "a|b", "401", "success", "$row$", "\x00", "é\u2028", "<nil>"]
    ),
    st.text(min_size=1, max_size=12),
)
_names: st.SearchStrategy[str | None] = _words
_ids = st.uuids().map(str)
_maybe_word = st.none() | _words
_maybe_id = st.none() | _ids
_values = st.recursive(st.none() | st.booleans() | st.integers() | _words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3), max_leaves=6)  # fmt: skip
_kinds = st.sampled_from(
    [
        ("ssh", "ssh", None), ("cursor", "ssh", "cursor"), ("goland", "ssh", "goland"), ("code_server", "ssh", "code-server"),
        ("reconnecting_pty", "reconnecting_pty", None), ("workspace_app", "workspace_app", None),
        ("port_forwarding", "port_forwarding", None), ("tunnel", "tunnel", None), ("egress", None, None), (None, None, None),
    ]
)  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Records that keep the contract's table of types and hold any text where text is free."""
    type_, method, app = draw(_kinds)
    # A type that could not be read is null, also where there is a connection id.
    paired = method in ("ssh", "reconnecting_pty") or (type_ is None and draw(st.booleans()))
    return Record(
        schema=1,
        id=draw(_ids),
        time=draw(st.datetimes()).isoformat(timespec="microseconds") + "000Z",
        status=draw(st.sampled_from(["connected", "disconnected"])) if paired else "connected",
        type=type_,
        method=method,
        app=app,
        workspace_owner_id=draw(_maybe_id),
        workspace_id=draw(_maybe_id),
        workspace_name=draw(_maybe_word),
        agent_name=draw(_maybe_word),
        user_id=None if paired else draw(_maybe_id),
        ip=draw(st.none() | st.ip_addresses().map(str)),
        user_agent=draw(_maybe_word),
        slug_or_port=draw(_maybe_word),
        code=draw(st.none() | st.integers(-(2**31), 2**31 - 1) | st.integers(95, 605)),
        connection_id=draw(_ids) if paired else None,
        disconnect_reason=draw(_maybe_word),
        extra=draw(st.dictionaries(_words, _values, max_size=4)),
        names=draw(
            st.just(msgspec.UNSET)
            | st.fixed_dictionaries(
                {},
                optional={
                    **dict.fromkeys(("user", "user_email", "workspace_owner", "organization", "template"), _names),
                    "attributed_user": _names,
                    "attribution": st.sampled_from(["certain", "likely", "ambiguous", "unknown"]),
                },
            )
        ),
    )
