"""The corpus's files: the whole corpus where it lies beside the project, and small cuts of it in any case."""

from __future__ import annotations

from pathlib import Path

from tests.truth.score import CORPUS, SAMPLES

CUTS = SAMPLES / "corpus"
WHOLE = sorted(CORPUS.glob("*.log"))
"""Empty where the project stands alone."""
SMALL = sorted(CUTS.glob("*.log"))
FILES = [*SMALL, *WHOLE]


def name_of(path: Path) -> str:
    """A file's name in a test's id."""
    return f"{'cut' if path.parent == CUTS else 'whole'}-{path.stem}"
