"""``python -m tests.fuzz.run TARGET [libFuzzer options] FOLDER…``: one fuzzer, for ever or to its limit."""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-untyped]  # it brings no types

with atheris.instrument_imports(include=["shipper"]):
    from tests.fuzz.target import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
