"""Finds the data files that belong to the package: grammars, the shipped configuration, systemd units, the add-on.

In an installed wheel they lie in ``shipper/_data``; in a checkout beside the package. The wheel's place
is looked at first, never the other way round: beside an installed package lie strangers' folders.
"""

from __future__ import annotations

from pathlib import Path

from shipper.errors import StateError

_PACKAGE = Path(__file__).resolve().parent
_PACKED = _PACKAGE / "_data"
ROOT = _PACKED if _PACKED.is_dir() else _PACKAGE.parent
"""The folder that holds ``grammars/``, ``config/``, ``systemd/`` and ``splunk/``."""


def data_path(name: str) -> Path:
    """The path of a data file, such as ``grammars/human.lark``; raises StateError where it is missing."""
    path = ROOT / name
    if not path.is_file():
        raise StateError(f"{path}: a file of connlog's own is missing; install connlog anew")
    return path


def read_data(name: str) -> str:
    """The text of a data file, such as ``grammars/human.lark``; raises StateError where it is missing."""
    return data_path(name).read_text(encoding="utf-8")


def data_folder(name: str) -> Path:
    """The path of a folder of data, such as ``splunk/TA_coder_connlog``; raises StateError where it is missing."""
    path = ROOT / name
    if not path.is_dir():
        raise StateError(f"{path}: a folder of connlog's own is missing; install connlog anew")
    return path
