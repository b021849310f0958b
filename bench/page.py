"""A page with a section that the benchmark writes: only what stands between the two marks changes."""

from __future__ import annotations

from pathlib import Path

from shipper.errors import UsageError

BEGIN = "<!-- begin: written by make bench -->"
END = "<!-- end -->"


class Page:
    """Read when it is made, so that a wrong path is known before minutes of measuring; raises UsageError."""

    def __init__(self, path: Path, begin: str = BEGIN) -> None:
        self.path, self._begin = path, begin
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"can't read the page {path}: {error}") from error
        self._before, found, rest = text.partition(self._begin)
        _, end, self._after = rest.partition(END)
        if not found or not end:
            raise UsageError(
                f"{path} has no section to write: put the lines {self._begin} and {END} where it shall stand"
            )

    def write(self, section: str) -> None:
        """Put ``section`` between the marks."""
        self.path.write_text(f"{self._before}{self._begin}\n\n{section}\n\n{END}{self._after}", encoding="utf-8")
