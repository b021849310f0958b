"""The column: what a table can show of a row, by title for people and by name for ``--columns``.

Times are in the zone that was asked for; in files for programs they stay UTC.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from shipper import timestamp
from shipper.cli.talk import visible
from shipper.errors import UsageError
from shipper.index.connection import Connection
from shipper.record import Log, Record, Source

Row = Record | Connection
LOCALTIME = Path("/etc/localtime")
_AGES = ((31_557_600, "y"), (86_400, "d"), (3_600, "h"), (60, "m"))
_TIMES = frozenset({"time", "connect_time", "disconnect_time", "log.time"})


class Column(NamedTuple):
    """A column by its title; ``read`` gives the text of a row, in which no character of the log can do anything."""

    title: str
    read: Callable[[Row], str]


class View(Struct, frozen=True):
    """How times are shown: ``zone`` None is UTC, ``name`` what the titles call it; ages are counted from ``now_ns``."""

    zone: tzinfo | None = None
    name: str = "UTC"
    now_ns: int | None = None

    def clock(self, text: str | None) -> str:
        """A canonical time to the second."""
        if text is None:
            return ""
        if self.zone is not None:
            try:
                moved = datetime.fromisoformat(f"{text[:19]}+00:00").astimezone(self.zone)
            except (OverflowError, OSError):  # year 0001 or 9999, which has no neighbour
                return f"{text[:10]} {text[11:19]}Z"
            text = moved.replace(tzinfo=None).isoformat()
        return f"{text[:10]} {text[11:19]}"

    def moment(self, text: str | None) -> str | None:
        """A canonical time in full: in UTC as it is, in another zone with its offset."""
        if text is None or self.zone is None:
            return text
        try:
            moved = datetime.fromisoformat(f"{text[:19]}+00:00").astimezone(self.zone).isoformat()
        except (OverflowError, OSError):
            return text
        return f"{moved[:19]}{text[19:29]}{moved[19:]}"

    def ago(self, text: str) -> str:
        """How long ago a canonical time was, in its largest unit; nothing where that is no usable time."""
        ns = timestamp.to_ns(text)
        if self.now_ns is None or ns in (timestamp.NS_MIN, timestamp.NS_MAX):
            return ""
        seconds = (self.now_ns - ns) // 1_000_000_000
        for length, unit in _AGES:
            if abs(seconds) >= length:
                return f"{seconds // length}{unit}" if seconds > 0 else f"in {-seconds // length}{unit}"
        return f"{seconds}s" if seconds >= 0 else f"in {-seconds}s"


def read_zone(name: str | None, now_ns: int | None = None) -> View:
    """The view for a zone by its name, or ``local``; raises UsageError that says which names there are."""
    if name is None or name.upper() == "UTC":
        return View(now_ns=now_ns)
    if name.lower() == "local":
        return View(_local_zone(), "local", now_ns)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return View(ZoneInfo(name), name, now_ns)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        from difflib import get_close_matches
        from zoneinfo import available_timezones

        near = get_close_matches(name, available_timezones(), n=1, cutoff=0.75)
        hint = f"did you mean {near[0]}?" if near else "write Europe/Berlin, UTC or local"
        raise UsageError(f"--tz: there is no time zone {name}; {hint}") from error


def _local_zone() -> tzinfo | None:
    """The zone of this machine, with its changes of offset where they can be known."""
    from zoneinfo import ZoneInfo

    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name)
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (ValueError, OSError, KeyError):  # an unknown name is a KeyError
        return datetime.now().astimezone().tzinfo


def usual(events: bool, view: View, *, ages: bool = False) -> list[Column]:
    """The columns of a table without ``--columns``; ``ages``: with how long ago."""
    names = ("time", *(["ago"] if ages else []), "status" if events else "lasted", "type", "workspace", "agent")
    return chosen((*names, "user", "ip", "code", "detail"), events, view)


def chosen(names: Sequence[str], events: bool, view: View) -> list[Column]:
    """The columns of these names, in their order; raises UsageError for one that there is not."""
    known = known_columns(events, view)
    columns = []
    for name in names:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=1)
            hint = f'did you mean "{near[0]}"?' if near else "known are " + ", ".join(sorted(known))
            raise UsageError(f'there is no column "{name}"; {hint}')
        columns.append(known[name])
    return columns


def known_columns(events: bool, view: View) -> dict[str, Column]:
    """All columns there are, by name."""
    return {**_fields(Record if events else Connection, view), **_made(events, view)}


def read_names(text: str | None, output: str) -> tuple[str, ...] | None:
    """The names in ``--columns``, None without it; raises UsageError where the form of output has no columns."""
    if text is None:
        return None
    if output not in ("table", "csv"):
        raise UsageError(f"--columns goes with a table or csv; {output} has all there is")
    return read_columns(text)


def read_columns(text: str) -> tuple[str, ...]:
    """The names in the value of ``--columns``; raises UsageError where there is none."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError("--columns: name at least one, such as time,workspace,user,ip")
    return names


def _made(events: bool, view: View) -> dict[str, Column]:
    """The columns that are made for people."""
    title = f"{'TIME' if events else 'CONNECTED'} ({visible(view.name)})"
    return {
        "time": Column(title, lambda row: view.clock(_time(row))),
        "ago": Column("AGO", lambda row: view.ago(_time(row))),
        "lasted": Column("LASTED", lasted),
        **({"status": Column("STATUS", lambda row: visible(getattr(row, "status", "")))} if events else {}),
        "type": Column("TYPE", lambda row: visible(row.type or "")),
        "workspace": Column("WORKSPACE", _workspace),
        "agent": Column("AGENT", lambda row: visible(row.agent_name or "")),
        "user": Column("USER", _user),
        "ip": Column("IP", lambda row: visible(row.ip or "")),
        "code": Column("CODE", lambda row: "" if row.code is None else str(row.code)),
        "detail": Column("DETAIL", _detail),
    }


def _fields(struct: type[Row], view: View) -> dict[str, Column]:
    """A column for each field of a row, those of its log and source as ``log.level`` and so on."""
    paths: list[tuple[str, ...]] = []
    for name in struct.__struct_fields__:
        inner = {"log": Log, "source": Source}.get(name)
        paths += [(name,)] if inner is None else [(name, part) for part in inner.__struct_fields__]
    return {".".join(path): Column(".".join(path).upper(), partial(_field, path, view)) for path in paths}


def _field(path: tuple[str, ...], view: View, row: Row) -> str:
    value: Any = row
    for name in path:
        value = getattr(value, name)
    if value is None or value is UNSET or value == {}:
        return ""
    if ".".join(path) in _TIMES:
        return view.clock(value)
    if isinstance(value, list):
        return visible(" ".join(map(str, value)))
    return visible(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _time(row: Row) -> str:
    return row.time if isinstance(row, Record) else row.connect_time


def lasted(row: Row) -> str:
    """How long a connection lasted, for people; its state where nobody knows."""
    if not isinstance(row, Connection):
        return ""
    if row.duration_seconds is None:
        return "" if row.state == "point" else row.state
    return duration(row.duration_seconds)


def duration(length: float) -> str:
    """A length of time in seconds, for people, in its two largest units."""
    if length < 0:
        return f"-{duration(-length)}"
    if length < 1:
        return f"{round(length * 1000)}ms" if length else "0s"
    minutes, seconds = divmod(int(length), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h"
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"


def _name(row: Row, key: str) -> str | None:
    return None if row.names is UNSET else row.names.get(key)


def _workspace(row: Row) -> str:
    owner = _name(row, "workspace_owner")
    name = row.workspace_name or row.workspace_id or ""
    return visible(f"{owner}/{name}" if owner else name)


def _user(row: Row) -> str:
    known = _name(row, "user") or row.user_id
    if known is None and (grade := _name(row, "attribution")) is not None:
        candidates = (_name(row, "attribution_candidates") or "").replace(" ", " or ")
        known = {"certain": candidates, "likely": f"{candidates} (likely)", "ambiguous": f"{candidates}?"}.get(grade)
    return visible(known or "")


def _detail(row: Row) -> str:
    return visible("  ".join(text for text in (row.slug_or_port, row.disconnect_reason) if text))
