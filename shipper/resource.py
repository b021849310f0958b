"""Finds the data files that belong to the package: grammars, the shipped configuration, systemd units, the add-on.

In an installed wheel they lie in ``shipper/_data``; in a checkout beside the package. The wheel's place
is looked at first, never the other way round: beside an installed package lie strangers' folders.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from shipper.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path


@cache
def root() -> str:
    """The folder that holds ``grammars/``, ``config/``, ``systemd/`` and ``splunk/``."""
    package = os.path.realpath(__file__).rpartition("/")[0]
    packed = f"{package}/_data"
    return packed if os.access(packed, os.X_OK) else package.rpartition("/")[0]


def read_data(name: str) -> str:
    """The text of a data file, such as ``grammars/human.lark``; raises StateError where it is missing."""
    path = f"{root()}/{name}"
    try:
        # Every start reads some, and most have no other use for paths.
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError as error:
        raise _missing("file", path) from error


def data_path(name: str) -> Path:
    """The path of a data file, such as ``grammars/human.lark``; raises StateError where it is missing."""
    path = _path(name)
    if not path.is_file():
        raise _missing("file", path)
    return path


def data_folder(name: str) -> Path:
    """The path of a folder of data, such as ``splunk/TA_coder_connlog``; raises StateError where it is missing."""
    path = _path(name)
    if not path.is_dir():
        raise _missing("folder", path)
    return path


def _path(name: str) -> Path:
    from pathlib import Path

    return Path(root(), name)


def _missing(what: str, path: object) -> StateError:
    return StateError(f"{path}: a {what} of connlog's own is missing; install connlog anew")
