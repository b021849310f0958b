"""The pattern: a regular expression that is compiled when it is first used.

The package has dozens for what happens seldom, and to compile them all takes as long as to read a thousand lines.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_METHODS = ("match", "fullmatch", "search", "sub", "finditer", "findall")


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The expression, to be used as one that ``re.compile`` gives. What is wrong with it shows at its first use."""
    return cast("re.Pattern[AnyStr]", _Later(text, flags))


class _Later:
    """Has no method until it is asked for one; then it has those of the compiled expression, as its own attributes, so
    that nothing of this is in the way afterwards."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(self._text, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


__all__ = ["pattern"]
