"""The word: kinds of options that are names or paths, which reach other programs as they stand."""

from __future__ import annotations

from msgspec import Struct

from shipper.config.option import Base, ListError, quoted, text_of, toml_name

NAME_MAX_CHARACTERS = 255


class Word(Struct, frozen=True):
    """A name, or an empty text for none."""

    example: str

    @property
    def says(self) -> str:
        return 'a name, or `""`'

    def read(self, value: object, base: Base) -> str:
        text = text_of(value, quoted(self.example))
        return name_of(text, self.example) if text else text

    def write(self, value: str) -> str:
        return quoted(value)


class Place(Struct, frozen=True):
    """The path of a folder as text, or an empty text for none."""

    example: str

    @property
    def says(self) -> str:
        return 'the path of a folder, or `""`'

    def read(self, value: object, base: Base) -> str:
        text = text_of(value, quoted(self.example))
        return base.absolute(text) if text else text

    def write(self, value: str) -> str:
        return quoted(value)


class Names(Struct, frozen=True):
    """A list of different names."""

    example: str
    most: int = 100

    @property
    def says(self) -> str:
        return "a list of names"

    def read(self, value: object, base: Base) -> tuple[str, ...]:
        example = f"[{quoted(self.example)}]"
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {toml_name(value)}; write it as {example}")
        if len(value) > self.most:
            raise ValueError(f"has {len(value)} entries; {self.most} is the most")
        names: list[str] = []
        wrong: list[tuple[int, str]] = []
        for number, item in enumerate(value, start=1):
            try:
                name = name_of(text_of(item, quoted(self.example)), self.example)
                if name in names:
                    raise ValueError(f"{quoted(name)} is there twice; remove one")  # noqa: TRY301 - told with all others
                names.append(name)
            except ValueError as error:
                wrong.append((number, str(error)))
        if wrong:
            raise ListError(wrong)
        return tuple(names)

    def write(self, value: tuple[str, ...]) -> str:
        return "[" + ", ".join(quoted(item) for item in value) + "]"


def name_of(text: str, example: str) -> str:
    """The text if it can be a name; raises ValueError."""
    if not text or not text.isprintable() or len(text) > NAME_MAX_CHARACTERS:
        raise ValueError(f"{quoted(text[:60])} is no name; write one such as {quoted(example)}")
    return text
