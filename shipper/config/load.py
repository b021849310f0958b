"""Loading: finds the configuration file and reads it into ``Config``, with every problem told at once.

Each problem is one line ``FILE:LINE: dotted.key: what is wrong; what to do``; arrays of tables and lists
are counted from 1, as in ``input[1].paths``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shipper.config.option import Base
from shipper.config.settings import Config
from shipper.config.tables import TableReader
from shipper.errors import ConfigError

if TYPE_CHECKING:
    from shipper.config.place import Key

SYSTEM_FILE = Path("/etc/connlog/connlog.toml")
SYSTEM_STATE = Path("/var/lib/connlog")
FILE_MAX_BYTES = 1 << 20


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration from ``path``, else $CONNLOG_CONFIG, else /etc/connlog/connlog.toml, else the defaults.

    Raises ConfigError with all problems; a file that was asked for and can't be read is one.
    """
    named = environ.get("CONNLOG_CONFIG", "")
    if path is not None:
        return parse_config(_read(path, "-c"), path, environ)
    if named:
        return parse_config(_read(Path(named), "$CONNLOG_CONFIG"), Path(named), environ)
    try:
        there = SYSTEM_FILE.exists()
    except OSError:
        there = True  # let reading it say why not
    if there:
        return parse_config(_read(SYSTEM_FILE, "the system's configuration"), SYSTEM_FILE, environ)
    return parse_config("", None, environ)


def parse_config(text: str, path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration that a TOML text says; ``path`` is what it's called in problems and starts relative names."""
    shown = _shown(path)
    try:
        tables = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError([_syntax_problem(shown, text, error)]) from error
    except RecursionError as error:
        raise ConfigError([f"{shown}: is nested too deeply to be read; write it flat"]) from error
    home = environ.get("HOME", "")
    handed = environ.get("CREDENTIALS_DIRECTORY", "")
    base = Base(
        Path(path or ".").absolute().parent,
        Path(home) if home.startswith("/") else None,
        Path(handed) if handed.startswith("/") else None,
    )
    reader = TableReader(shown, partial(_lines_of, text), base)
    config = reader.config(tables, path, default_state_dir(path, environ))
    if config is None:
        raise ConfigError(reader.problems())
    return config


def _lines_of(text: str) -> dict[Key, int]:
    """Where its keys stand; asked for only where something is wrong."""
    from shipper.config.place import lines_of

    return lines_of(text)


def state_dir_of(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The state folder that an otherwise invalid configuration names; None where even that can't be told."""
    named = environ.get("CONNLOG_CONFIG", "")
    used = path or (Path(named) if named else SYSTEM_FILE)
    try:
        state = tomllib.loads(_read(used, "-c")).get("state")
        folder = state.get("dir") if isinstance(state, dict) else None
        text = "" if folder is None else f"[state]\ndir = {json.dumps(folder, ensure_ascii=False)}\n"
        return parse_config(text, used, environ).state.dir
    except (ConfigError, ValueError, TypeError, RecursionError):
        return None


def default_state_dir(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The state folder where the configuration names none; None where there is no home folder to put it in."""
    handed = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if handed.startswith("/"):
        return Path(handed)
    if path == SYSTEM_FILE:
        return SYSTEM_STATE
    xdg = environ.get("XDG_STATE_HOME", "")
    if xdg.startswith("/"):
        return Path(xdg) / "connlog"
    home = environ.get("HOME", "")
    return Path(home) / ".local/state/connlog" if home.startswith("/") else None


def _shown(path: Path | None) -> str:
    return "built-in defaults" if path is None else str(path)


def _read(path: Path, asked: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        what = error.strerror or str(error)
        raise ConfigError([f"{path}: can't be read: {what}; check the path and its mode ({asked} names it)"]) from error
    if len(content) > FILE_MAX_BYTES:
        raise ConfigError(
            [f"{path}: is larger than 1MiB, which no configuration is; check the path ({asked} names it)"]
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: is not UTF-8 text; save the file as UTF-8"]) from error


def _syntax_problem(shown: str, text: str, error: ValueError) -> str:
    found = re.search(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error), re.DOTALL)
    if found is None:
        return f"{shown}: is not valid TOML: {error}; mend it"
    line = found[2] or str(text.count("\n") + 1)
    column = f" at column {found[3]}" if found[3] else " at the end"
    return f"{shown}:{line}: is not valid TOML{column}: {found[1][:200]}; mend this line or the one above"
