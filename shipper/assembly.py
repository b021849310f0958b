"""The assembly: usual lines made records at once, with no text between, for who looks at each of them.

The way is that of ``rendering`` and ``shape``, but that what is remembered of a field is its value, and of a header what it
says. The same value of two records is then one object mostly, and both take less room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from shipper.form import Form
from shipper.memo import Cache, Memo, SecondMemo
from shipper.normalisation import Normaliser
from shipper.part import NULLABLE, OWN_KEYS, given_of, nullable_of
from shipper.record import SCHEMA, Log, Record, Source, encoded
from shipper.rendering import Renderer
from shipper.shape import Kind, ShapeMaker
from shipper.workspace import WORKSPACE, Workspace

HEADERS_MAX_COUNT = 1024
"""Headers of which is known what they say; then all are forgotten. With a trace each is another one."""

_IN_RUNS = tuple(key for key in OWN_KEYS if key not in NULLABLE)
_KIND = ("type", "method", "app", "slug_or_port")
_LOG = Log.__struct_fields__[1:]
_decode = msgspec.json.Decoder().decode
_decode_log = msgspec.json.Decoder(Log).decode


class RecordRenderer(Renderer):
    """Makes records of the bare lines of one source."""

    def _maker(
        self, source: Source, form: Form, normaliser: Normaliser, cache: Cache, seconds: SecondMemo
    ) -> ShapeMaker:
        return RecordMaker(source, form, normaliser, cache, seconds)

    def _gives(self, raw: bytes, record: Record) -> bool:
        made: Any = self.render(raw, 0)
        whole = msgspec.structs.replace(encoded(record).record(), source=made.source) if made is not None else None
        return bool(made == whole)


class RecordMaker(ShapeMaker):
    """Makes shapes that give records."""

    def __init__(self, source: Source, form: Form, normaliser: Normaliser, cache: Cache, seconds: SecondMemo) -> None:
        super().__init__(form, normaliser, cache, seconds)
        self._source = source
        self._headers = _Headers()

    def _record(self, place: dict[str, str], space: dict[str, Any]) -> tuple[str, list[str], str]:
        source = self._source
        space |= {
            "Record": Record, "Log": Log, "Source": Source, "headers": self._headers, "host": source.host,
            "input": source.input, "path": source.path, "source_meta": source.meta,
        }  # fmt: skip
        before = []
        for key in nullable_of(place):
            # JSON writes them with their quotes.
            given = place[key] if self._form.human else f"{place[key]}[1:-1]"
            before.append(f"{place[key]} = {given} if {given_of(key)} else None")
        own = dict.fromkeys(NULLABLE, "None") | place
        fields = [str(SCHEMA), place["id"], "time", *[own.get(key, key) for key in OWN_KEYS]]
        log = {key: key for key in _LOG} | {key: place[key] for key in ("trace", "span") if key in place}
        header = "f'{stamp[10:]}{log}'" if self._form.human else "log"
        logged = "f'{logged}{stamp[:10]}'" if self._form.human else "f'{logged}{stamp}{ending}'"
        before.append(f"ending, {', '.join(_LOG)} = headers[{header}]")
        made = f"Log({logged}, {', '.join(log.values())}), Source(host, input, path, place, None, source_meta)"
        return f"{', '.join(_IN_RUNS)}, extra", before, f"Record({', '.join(fields)}, {made}, extra)"

    def _give(
        self, kind: str, at: dict[str, int], fresh: dict[str, str], extra: dict[str, int], space: dict[str, Any]
    ) -> list[str]:
        together = "read" in space
        given = {key: f"memo{at[key]}[p{at[key]}]" for key in _IN_RUNS if key in at}
        given |= {key: f"workspace[{place}]" for place, key in enumerate(WORKSPACE) if together}
        given |= {key: key for key in _KIND}
        space |= {f"name{place}": name for name, place in extra.items()}
        inner = ", ".join(f"name{place}: memo{place}[p{place}]" for place in extra.values())
        values = [given.get(key, "None") for key in _IN_RUNS]
        return [f"{', '.join(_KIND)} = {kind}", f"return {', '.join(values)}, {{{inner}}}"]

    def _reader(self, workspace: Workspace) -> Callable[[str], tuple[Any, str]]:
        return workspace.texts

    def _join(self, memos: list[str]) -> str:
        return ", ".join(memos)

    def _remembering(self, name: str, part: Callable[[str], str]) -> Memo[str, Any]:
        return Memo(self._cache, lambda field: _values(part(field)).get(name), _size)

    def _kind(self, names: tuple[str | None, ...], fields: Kind) -> tuple[Any, ...]:
        values = _values("".join(super()._kind(names, fields)))
        return tuple([values.get(key) for key in _KIND])


class _Headers(dict[str, tuple[str | None, ...]]):
    """Of the end of a header's time with the log's part behind it, that end and the log's values."""

    def __missing__(self, text: str) -> tuple[str | None, ...]:
        ending, _, rest = text.partition('"')
        log = _decode_log(f"{{{rest.removeprefix(',').removesuffix('}')}}}")
        if len(self) >= HEADERS_MAX_COUNT:
            self.clear()
        values = self[text] = (ending, *msgspec.structs.astuple(log)[1:])
        return values


def _values(part: str) -> dict[str, Any]:
    """What a part of a record says, which ends in a comma or not, or is empty."""
    values: dict[str, Any] = _decode(f"{{{part.removesuffix(',')}}}")
    return values


def _size(field: str, value: object) -> int:
    return len(field) + (len(value) if isinstance(value, str) else 0)
