"""The look: what the fields of a line that are new in each look like, which tells whether they are sound, and what is null.

They are ids and times, so that whole days of lines look alike but for their hexadecimal digits. Those of a look that was
met before are checked by that alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from shipper.form import Form

# The expression is for texts with a line feed between them and none inside. There are as many as it asks for, so the
# one that these classes would take can't be there; with three ranges, a class is a table, and twice as fast.
_HEX = r"[0-9a-f\n]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
# Whether the first is a time at all is seen by who makes it one. Another form has no Z in it, so that one letter tells
# them apart.
_TIME = r'(?:[0-9T:-]{19}\.[0-9]{1,9}Z|[^"\\Z\x00-\x1f]{19,64})'
GENERAL = bytes.maketrans(b"0123456789abcdef", b"0" * 16)
"""Any hexadecimal digit as one. What is sound stays so with other digits in their places, a time's fraction excepted; and what
stands for null has none."""
SOUND_MAX_COUNT = 256
"""Looks of one shape that are known to be sound; then all of them are forgotten."""
SOUND_MAX_BYTES = 512
"""A longer one is not remembered."""
ZEROS = tuple("0" * (9 - digits) + "Z" for digits in range(10))
"""What a time with so many digits of a fraction lacks."""

Told = tuple[bool | str | None, ...]
"""Whether each field that can be null is given, and what its time's fraction lacks, None for a time of another form."""


class Looks:
    """The looks of one shape: ``fresh`` are the record's keys of its new fields in their order, ``nullable`` those of them
    that can be null, ``end`` what stands behind the last."""

    def __init__(self, form: Form, fresh: Sequence[str], nullable: Sequence[str], end: str) -> None:
        plain = r'(?:[0-9A-Za-z_.:/+-]++|"")' if form.human else r'(?:"[ !#-\[\]-~]*+"|null)'
        patterns = {
            "id": _UUID,
            "connection_id": f"(?:<nil>|{_UUID})" if form.human else f'(?:null|"{_UUID}")',
            "time": _TIME,
            "client_session_id": plain,
            "request_id": plain,
            "trace": f"{_HEX}{{32}}",
            "span": f"{_HEX}{{16}}",
        }
        pattern = r"\n".join(f"(?P<{key}>{patterns[key]})" for key in fresh)
        self._match = re.compile(pattern + re.escape(end)).fullmatch
        self._nullable = nullable
        # In the human form null would be the text.
        nothing = ('""',) if form.human else ('""', "null")
        self._nulls = {key: (form.null,) if key == "connection_id" else nothing for key in nullable}
        self._known: dict[bytes, Told] = {}
        self.known: Callable[[bytes], Told | None] = self._known.get
        """What a look that was met tells."""

    def look(self, fresh: str, look: bytes) -> Told | None:
        """What a look that was not met tells of ``fresh``, the fields with a line feed between them; None: they are not
        sound."""
        found = self._match(fresh)
        if found is None:
            return None
        time = found["time"]
        lacks = ZEROS[len(time) - 21] if time[-1] == "Z" else None
        told = (*(found[key] not in self._nulls[key] for key in self._nullable), lacks)
        if len(look) <= SOUND_MAX_BYTES:
            if len(self._known) >= SOUND_MAX_COUNT:
                self._known.clear()
            self._known[look] = told
        return told
