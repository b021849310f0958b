"""The option: one key of the configuration with its kind, its bounds and its prose.

A kind reads a TOML value into the Python value of the field, or raises ValueError with a sentence
"what is wrong; what to do", and writes a field's value as TOML. Loading, the shipped file and the
page of the documentation all come from these.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from msgspec import NODEFAULT, Struct

from shipper.config.address import read_web_address, split_address
from shipper.config.quantity import duration_text, parse_duration, parse_size, size_text
from shipper.config.secret import handed_secret


class Base(Struct, frozen=True):
    """What relative names stand against: ``folder`` for paths without a root, ``home`` for ``~``.

    ``credentials`` is the folder of systemd's credentials, where a secret's name is looked for first."""

    folder: Path
    home: Path | None
    credentials: Path | None = None

    def absolute(self, name: str) -> str:
        """The name with ``~/`` and a missing root filled in; raises ValueError where there is no home."""
        if name == "~" or name.startswith("~/"):
            if self.home is None:
                raise ValueError("'~' needs a home folder, and there is none; write the whole path")
            return str(self.home / name[2:])
        return str(self.folder / name)


class ListError(ValueError):
    """Entries of a list are wrong: ``entries`` has the 1-based number and the sentence of each."""

    def __init__(self, entries: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(text for _, text in entries))
        self.entries = entries


class Kind(Protocol):
    """What values an option takes: ``read`` raises ValueError or ListError, ``says`` is for the documentation."""

    @property
    def says(self) -> str: ...

    def read(self, value: object, base: Base) -> Any: ...

    def write(self, value: Any) -> str: ...


def toml_name(value: object) -> str:
    """What a TOML value is called in a message."""
    names: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    names |= {list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def quoted(text: str) -> str:
    """Text in quotes, for a message or as TOML, its control characters escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def text_of(value: object, example: str) -> str:
    """The value, which must be text; raises ValueError with ``example`` for what to write."""
    if not isinstance(value, str):
        raise ValueError(f"must be text in quotes, not {toml_name(value)}; write it as {example}")
    if "\0" in value:
        raise ValueError("has a NUL character in it; remove it")
    return value


class Choice(Struct, frozen=True):
    """One of a few words; ``later`` are words of the plan that this version doesn't offer."""

    words: tuple[str, ...]
    later: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        return "one of " + ", ".join(f'`"{word}"`' for word in self.words) if self.words[1:] else f'`"{self.words[0]}"`'

    def read(self, value: object, base: Base) -> str:
        text = text_of(value, quoted(self.words[0]))
        if text in self.words:
            return text
        known = ", ".join(quoted(word) for word in self.words)
        if text in self.later:
            raise ValueError(f"{quoted(text)} isn't built into this version yet; use {known}")
        from difflib import get_close_matches  # here, since most words are known

        near = get_close_matches(text.lower(), self.words, n=1)
        hint = f"did you mean {quoted(near[0])}?" if near else f"use {known}"
        raise ValueError(f"{quoted(text)} is not known; {hint}")

    def write(self, value: str) -> str:
        return quoted(value)


class Duration(Struct, frozen=True):
    """A duration between two bounds in milliseconds, as ``seconds``: whole or with a fraction.

    With ``endless`` the word "forever" is None.
    """

    least_ms: int
    most_ms: int
    whole: bool = True
    endless: bool = False

    @property
    def says(self) -> str:
        bounds = f"a duration from `{duration_text(self.least_ms)}` to `{duration_text(self.most_ms)}`"
        return bounds + ', or `"forever"`' if self.endless else bounds

    def read(self, value: object, base: Base) -> int | float | None:
        text = text_of(value, f'"{duration_text(self.least_ms)}"')
        if self.endless and text == "forever":
            return None
        try:
            milliseconds = parse_duration(text)
        except ValueError as error:
            raise ValueError(f"{quoted(text)} {error}") from None
        if not self.least_ms <= milliseconds <= self.most_ms:
            bounds = f"{duration_text(self.least_ms)} and {duration_text(self.most_ms)}"
            raise ValueError(f"{quoted(text)} is out of bounds; write a duration between {bounds}")
        if not self.whole:
            return milliseconds / 1000
        if milliseconds % 1000:
            raise ValueError(f"{quoted(text)} is not a whole number of seconds; round it")
        return milliseconds // 1000

    def write(self, value: float | None) -> str:
        return quoted("forever" if value is None else duration_text(round(value * 1000)))


class Size(Struct, frozen=True):
    """A size between two bounds, in bytes. With ``endless`` the word "unlimited" is None."""

    least_bytes: int
    most_bytes: int
    endless: bool = False

    @property
    def says(self) -> str:
        bounds = f"a size from `{size_text(self.least_bytes)}` to `{size_text(self.most_bytes)}`"
        return bounds + ', or `"unlimited"`' if self.endless else bounds

    def read(self, value: object, base: Base) -> int | None:
        text = text_of(value, f'"{size_text(self.least_bytes)}"')
        if self.endless and text == "unlimited":
            return None
        try:
            size = parse_size(text)
        except ValueError as error:
            raise ValueError(f"{quoted(text)} {error}") from None
        if not self.least_bytes <= size <= self.most_bytes:
            bounds = f"{size_text(self.least_bytes)} and {size_text(self.most_bytes)}"
            raise ValueError(f"{quoted(text)} is out of bounds; write a size between {bounds}")
        return size

    def write(self, value: int | None) -> str:
        return quoted("unlimited" if value is None else size_text(value))


class Folder(Struct, frozen=True):
    """The path of a folder, which need not be there yet."""

    @property
    def says(self) -> str:
        return "the path of a folder"

    def read(self, value: object, base: Base) -> Path:
        text = text_of(value, '"/var/lib/connlog"')
        if not text:
            raise ValueError("is empty; write the path of a folder or remove the line")
        return Path(base.absolute(text))

    def write(self, value: Path) -> str:
        return quoted(str(value))


class OptionalFile(Struct, frozen=True):
    """The path of a file, or an empty text for none. ``secret``: looked for among systemd's credentials first."""

    secret: bool = False

    @property
    def says(self) -> str:
        return 'the path of a file, or `""`'

    def read(self, value: object, base: Base) -> Path | None:
        text = text_of(value, '"/etc/connlog/token"' if self.secret else '"/etc/ssl/certs/own-ca.pem"')
        if not text:
            return None
        handed = handed_secret(base.credentials, text) if self.secret else None
        return handed if handed is not None else Path(base.absolute(text))

    def write(self, value: Path | None) -> str:
        return quoted("" if value is None else str(value))


class WebAddress(Struct, frozen=True):
    """The http or https address of a server, or an empty text for none."""

    @property
    def says(self) -> str:
        return 'an https address, or `""`'

    def read(self, value: object, base: Base) -> str:
        text = text_of(value, '"https://coder.example.com"')
        return read_web_address(text) if text else ""

    def write(self, value: str) -> str:
        return quoted(value)


class Globs(Struct, frozen=True):
    """A list of glob patterns over paths; ``names`` lets a pattern without a slash stand for a file's name."""

    names: bool = False
    least: int = 0
    most: int = 1000

    @property
    def says(self) -> str:
        return "a list of glob patterns"

    def read(self, value: object, base: Base) -> tuple[str, ...]:
        example = '["*.gz"]' if self.names else '["/var/log/coder/*.log"]'
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {toml_name(value)}; write it as {example}")
        if not self.least <= len(value) <= self.most:
            raise ValueError(f"has {len(value)} entries; write {self.least} to {self.most}, as in {example}")
        patterns: list[str] = []
        wrong: list[tuple[int, str]] = []
        for number, item in enumerate(value, start=1):
            try:
                patterns.append(self._pattern(item, base))
            except ValueError as error:
                wrong.append((number, str(error)))
        if wrong:
            raise ListError(wrong)
        return tuple(patterns)

    def _pattern(self, item: object, base: Base) -> str:
        text = text_of(item, '"*.gz"' if self.names else '"/var/log/coder/*.log"')
        if not text:
            raise ValueError("is empty; write a pattern or remove it")
        return text if self.names and "/" not in text else base.absolute(text)

    def write(self, value: tuple[str, ...]) -> str:
        return "[" + ", ".join(quoted(item) for item in value) + "]"


class Zone(Struct, frozen=True):
    """The name of a time zone, checked against the system's."""

    @property
    def says(self) -> str:
        return "the name of a time zone"

    def read(self, value: object, base: Base) -> str:
        text = text_of(value, '"Europe/Berlin"')
        if text == "UTC":  # needs no zone database, which a small container may lack
            return text
        import zoneinfo
        from difflib import get_close_matches

        try:
            zoneinfo.ZoneInfo(text)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            near = get_close_matches(text, zoneinfo.available_timezones(), n=1)
            hint = f"did you mean {quoted(near[0])}?" if near else 'write a name such as "Europe/Berlin" or "UTC"'
            raise ValueError(f"{quoted(text)} is no time zone known here; {hint}") from None
        return text

    def write(self, value: str) -> str:
        return quoted(value)


class Address(Struct, frozen=True):
    """Host and port to listen on, or an empty text for none."""

    @property
    def says(self) -> str:
        return 'a host and a port, or `""`'

    def read(self, value: object, base: Base) -> str:
        text = text_of(value, '"127.0.0.1:9464"')
        if text:
            try:
                split_address(text)
            except ValueError as error:
                raise ValueError(f"{quoted(text)} {error}") from None
        return text

    def write(self, value: str) -> str:
        return quoted(value)


class Option(Struct, frozen=True):
    """One key as written in TOML, the kind of its value, and what to say about it, in whole sentences."""

    key: str
    kind: Kind
    prose: str


class Slot(Struct, frozen=True):
    """A struct's field with its option. ``default`` is the field's value, NODEFAULT where it must be given."""

    field: str
    option: Option
    default: Any


@cache
def slots(struct: type[Struct]) -> tuple[Slot, ...]:
    """The options of a struct, in the order of its fields; every field has one. The struct's module has no annotations of
    text (``from __future__ import annotations``), which would take longer to read than a whole configuration."""
    names, defaults = struct.__struct_fields__, struct.__struct_defaults__
    found: list[Slot] = []
    for name, default in zip(names, (NODEFAULT,) * (len(names) - len(defaults)) + defaults, strict=True):
        (option,) = (note for note in struct.__annotations__[name].__metadata__ if isinstance(note, Option))
        found.append(Slot(name, option, default))
    return tuple(found)
