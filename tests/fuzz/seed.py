"""Seeds of a fuzzer: genuine records of the samples, each in a file of its own."""

from __future__ import annotations

from pathlib import Path

from tests.truth.corpus import SMALL
from tests.truth.score import truths

DICTIONARY = (
    "connection_log", "coderd: ", " ...", "\\x0a    ", "  ID=", "<nil>", "\\x1b[0m", '\\"', "\\\\", "{Int32:0 Valid:false}",
    '\\"MESSAGE\\":', '\\"__CURSOR\\":', '\\"log\\":', " stderr P ", " stderr F ", "[API] ", '\\"fields\\":{', "\\x0d\\x0a", "\\xff",
    " m=+0.1", "+0000 UTC", "ConnectionStatus=connected", '\\"_LINE_BREAK\\":\\"nul\\"',
)  # fmt: skip
"""Words for the fuzzer, in libFuzzer's notation."""


def belongs(path: Path, target: str) -> bool:
    """Whether a sample is a seed of this target."""
    if target == "wrapper":
        return path.name.startswith("wrap-")
    return path.name.startswith((f"{target}-", "doc-"))


def write_seeds(folder: Path, target: str) -> int:
    """One file a record, with the byte before it that chooses the size of the pieces; gives how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for path in SMALL:
        if not belongs(path, target):
            continue
        data = path.read_bytes()
        for truth in truths(path):
            record = data[truth["offset"] : truth["offset"] + truth["length"]]
            if len(record) < 8000:
                (folder / f"{path.stem}-{truth['n']}").write_bytes(bytes([count % 5]) + record)
                count += 1
    return count


def write_dictionary(path: Path) -> None:
    """The words in a file as libFuzzer reads it."""
    path.write_text("".join(f'"{word}"\n' for word in DICTIONARY))
