"""Further kinds of options: switches, counts, names, addresses of collectors, secrets' files, and routes by field.

Like those of ``option`` they read a TOML value or raise ValueError with "what is wrong; what to do".
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from shipper.config.address import read_web_address
from shipper.config.option import Base, ListError, quoted, toml_name
from shipper.config.secret import handed_secret
from shipper.pattern import pattern

ROUTE_FIELDS = (
    "status", "type", "method", "app", "organization_id", "workspace_owner_id", "workspace_id", "agent_id", "user_id", "code",
)  # fmt: skip
"""What a route may look at: closed sets and ids, which nobody but coderd chooses; never free text."""
ROUTES_MAX, VALUES_MAX = 100, 1000
NAME_MAX_CHARACTERS = 40
_name = pattern(r"[a-z][a-z0-9_-]*", re.ASCII)
_index_name = pattern(r"[a-z0-9_][a-z0-9_-]{0,79}", re.ASCII)
_sourcetype = pattern(r"[A-Za-z0-9_:.-]{1,100}", re.ASCII)
_COLLECTOR = pattern(r"/services/collector(?:/event)?(?:/1\.0)?$")


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text in quotes, not {toml_name(value)}; write it as {example}")
    if not value.isprintable():
        raise ValueError("holds a character that can't be printed; remove it")
    return value


class Switch(Struct, frozen=True):
    """True or false."""

    @property
    def says(self) -> str:
        return "`true` or `false`"

    def read(self, value: object, base: Base) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {toml_name(value)}; write it without quotes")
        return value

    def write(self, value: bool) -> str:
        return "true" if value else "false"


class Count(Struct, frozen=True):
    """A whole number between two bounds."""

    least: int
    most: int

    @property
    def says(self) -> str:
        return f"a number from `{self.least}` to `{self.most}`"

    def read(self, value: object, base: Base) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be a number, not {toml_name(value)}; write it as {self.least}, without quotes")
        if not self.least <= value <= self.most:
            raise ValueError(f"{value} is out of bounds; write a number from {self.least} to {self.most}")
        return value

    def write(self, value: int) -> str:
        return str(value)


class Name(Struct, frozen=True):
    """A short name in lower case."""

    @property
    def says(self) -> str:
        return "a name of letters in lower case, digits, `-` and `_`"

    def read(self, value: object, base: Base) -> str:
        text = _text(value, '"splunk"')
        if not _name.fullmatch(text) or len(text) > NAME_MAX_CHARACTERS:
            raise ValueError(
                f'{quoted(text[:80])} is no name; write at most {NAME_MAX_CHARACTERS} of a-z, 0-9, "-" and "_", '
                "beginning with a letter"
            )
        return text

    def write(self, value: str) -> str:
        return quoted(value)


class Words(Struct, frozen=True):
    """Free text; what it means is judged by who uses it."""

    meaning: str
    example: str

    @property
    def says(self) -> str:
        return f'{self.meaning}, or `""`'

    def read(self, value: object, base: Base) -> str:
        return _text(value, quoted(self.example))

    def write(self, value: str) -> str:
        return quoted(value)


class IndexName(Struct, frozen=True):
    """The name of a Splunk index, or an empty text."""

    @property
    def says(self) -> str:
        return 'the name of an index, or `""`'

    def read(self, value: object, base: Base) -> str:
        text = _text(value, '"security"')
        if text and not _index_name.fullmatch(text):
            raise ValueError(
                f"{quoted(text[:80])} is no name of an index; write lower-case letters, digits, _ and -, such as "
                '"security"'
            )
        return text

    def write(self, value: str) -> str:
        return quoted(value)


class SourceType(Struct, frozen=True):
    """A Splunk source type."""

    @property
    def says(self) -> str:
        return "a source type"

    def read(self, value: object, base: Base) -> str:
        text = _text(value, '"coder:connection_log"')
        if not _sourcetype.fullmatch(text):
            raise ValueError(f'{quoted(text[:80])} is no source type; write one such as "coder:connection_log"')
        return text

    def write(self, value: str) -> str:
        return quoted(value)


class Collectors(Struct, frozen=True):
    """The addresses of HTTP Event Collectors, without the path of the service."""

    most: int = 64

    @property
    def says(self) -> str:
        return "a list of https addresses"

    def read(self, value: object, base: Base) -> tuple[str, ...]:
        example = '["https://splunk.example.com:8088"]'
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {toml_name(value)}; write it as {example}")
        if not 1 <= len(value) <= self.most:
            raise ValueError(f"has {len(value)} entries; write 1 to {self.most}, as in {example}")
        found: list[str] = []
        wrong: list[tuple[int, str]] = []
        for number, item in enumerate(value, start=1):
            try:
                address = _COLLECTOR.sub("", read_web_address(_text(item, '"https://splunk.example.com:8088"')))
                if address in found:
                    raise ValueError("is there twice; remove one")  # noqa: TRY301 - gathered like all the others
                found.append(address)
            except ValueError as error:
                wrong.append(
                    (number, str(error).replace("https://coder.example.com", "https://splunk.example.com:8088"))
                )
        if wrong:
            raise ListError(wrong)
        return tuple(found)

    def write(self, value: tuple[str, ...]) -> str:
        return "[" + ", ".join(quoted(item) for item in value) + "]"


class NeededSecret(Struct, frozen=True):
    """The path of a file with a secret, looked for among systemd's credentials first."""

    @property
    def says(self) -> str:
        return "the path of a file"

    def read(self, value: object, base: Base) -> Path:
        text = _text(value, '"hec-token"')
        if not text:
            raise ValueError("is empty; write the path of the file with the token")
        handed = handed_secret(base.credentials, text)
        return handed if handed is not None else Path(base.absolute(text))

    def write(self, value: Path) -> str:
        return quoted(str(value))


class Route(Struct, frozen=True):
    """Events whose ``field`` is one of ``values`` go to ``index`` with ``sourcetype``; empty: as the others."""

    field: str
    values: tuple[str | int, ...]
    index: str = ""
    sourcetype: str = ""


class Routes(Struct, frozen=True):
    """A list of tables, the first that fits is taken."""

    @property
    def says(self) -> str:
        return "a list of tables with `field`, `values`, and `index` or `sourcetype` or both"

    def read(self, value: object, base: Base) -> tuple[Route, ...]:
        if not isinstance(value, list) or len(value) > ROUTES_MAX:
            raise ValueError(
                f"must be at most {ROUTES_MAX} tables; write [[output.route]] with field, values and index"
            )
        routes: list[Route] = []
        wrong: list[tuple[int, str]] = []
        for number, item in enumerate(value, start=1):
            try:
                routes.append(self._route(item, base))
            except ValueError as error:
                wrong.append((number, str(error)))
        if wrong:
            raise ListError(wrong)
        return tuple(routes)

    def _route(self, item: object, base: Base) -> Route:
        if not isinstance(item, dict):
            raise ValueError(f"must be a table, not {toml_name(item)}; write [[output.route]] and its keys below")
        for key in item:
            if key not in ("field", "values", "index", "sourcetype"):
                from difflib import get_close_matches  # here, since most keys are known

                near = get_close_matches(str(key), ("field", "values", "index", "sourcetype"), n=1)
                hint = f"did you mean {quoted(near[0])}?" if near else "known here: field, values, index, sourcetype"
                raise ValueError(f"{quoted(str(key))} is not known; {hint}")
        field, values = item.get("field"), item.get("values")
        if field not in ROUTE_FIELDS:
            raise ValueError(
                f"its field must be one of {', '.join(ROUTE_FIELDS)}: text of a log never chooses an index"
            )
        kind: type = int if field == "code" else str
        if (
            not isinstance(values, list)
            or not 1 <= len(values) <= VALUES_MAX
            or not all(type(v) is kind for v in values)
        ):
            what = "numbers, such as [401, 404]" if kind is int else 'texts, such as ["ssh", "vscode"]'
            raise ValueError(f"its values must be a list of 1 to {VALUES_MAX} {what}")
        index = IndexName().read(item.get("index", ""), base)
        sourcetype = item.get("sourcetype", "")
        if sourcetype != "":
            sourcetype = SourceType().read(sourcetype, base)
        if not index and not sourcetype:
            raise ValueError("names neither an index nor a source type; add one, or remove the route")
        return Route(str(field), tuple(values), index, sourcetype)

    def write(self, value: tuple[Route, ...]) -> str:
        return "[" + ", ".join(_inline(route) for route in value) + "]"


def _inline(route: Route) -> str:
    pairs: dict[str, Any] = {"field": route.field, "values": list(route.values)}
    pairs |= {key: text for key, text in (("index", route.index), ("sourcetype", route.sourcetype)) if text}
    return "{ " + ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in pairs.items()) + " }"
