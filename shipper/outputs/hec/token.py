"""The token: read from its file, and again when the file changes or the token was refused; never shown."""

from __future__ import annotations

from pathlib import Path

from shipper.config.secret import read_secret
from shipper.errors import SecretError

LOOK_SECONDS = 1.0
"""How often the file is looked at."""


class Token:
    """The token in the file ``path``. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int, int] | None = None
        self._looked = float("-inf")
        self._value: str | None = None

    def __repr__(self) -> str:
        return f"Token({str(self._path)!r})"

    def value(self, now: float) -> str:
        """The token as of now, in monotonic seconds. Raises SecretError where there is none."""
        if self._value is None or now - self._looked >= LOOK_SECONDS:
            self._looked = now
            try:
                status = self._path.stat()
                seen = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
            except OSError:
                seen = None
            if self._value is None or seen is None or seen != self._seen:
                self._value = None
                self._value = read_secret(self._path)
                self._seen = seen
        if self._value is None:
            raise SecretError(f"{self._path}: holds no token now")
        return self._value

    def refused(self) -> None:
        """The server did not take it: read the file anew before the next request."""
        self._seen, self._looked = None, float("-inf")
