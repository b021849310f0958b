"""The sandbox: paths that exist, and that the service does not see: private folders for temporary files, hidden homes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePath

from shipper.config import Config, FileInput, JournaldInput, SplunkHecOutput
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.doctor.unit import Unit, ask_unit
from shipper.errors import ServiceError
from shipper.inputs.discovery import base_folder
from shipper.inputs.journalctl import matches_of
from shipper.service.installation import HIDDEN, UNIT

CHECK = "sandbox"
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - named, not written to
HOMES = ("/home", "/root", "/run/user")
CODER_UNIT = "coder.service"
YES = ("yes", "tmpfs", "read-only")


def examine(case: Case) -> Iterator[Finding]:
    """Every path of the configuration against what the unit hides, and what coderd's unit hides from everybody."""
    config = case.config
    if config is None:
        return
    paths = dict(_paths(config))
    hidden = 0
    for key, path in paths.items():
        if case.unit is None:
            below = next((folder for folder in HIDDEN if PurePath(path).is_relative_to(folder)), None)
            if below is not None and case.account.uid != 0 and "input" in key:
                text = f"{path} lies below {below}, which {UNIT} would not see"
                yield note(
                    CHECK, key, text, "put it elsewhere before connlog becomes a service, such as /var/log/coder"
                )
            continue
        # Where a link leads counts as much as where it lies.
        why = _hides(case.unit, path) or _hides(case.unit, os.path.realpath(path))
        if why is not None:
            hidden += 1
            yield problem(CHECK, key, f"the service does not see {path}: {why}", _advice(path))
    if case.unit is not None:
        yield from _writing(case.unit, config)
        if not hidden:
            yield ok(CHECK, case.unit.name, f"sees the {len(paths)} paths of the configuration")
    yield from _of_coder(config, paths)


def _paths(config: Config) -> Iterator[tuple[str, str]]:
    for number, source in enumerate(config.inputs, start=1):
        if isinstance(source, FileInput):
            for place, pattern in enumerate(source.paths, start=1):
                yield f"input[{number}].paths[{place}]", base_folder(pattern)
        elif isinstance(source, JournaldInput) and source.directory:
            yield f"input[{number}].directory", source.directory
    for number, output in enumerate(config.outputs, start=1):
        if isinstance(output, SplunkHecOutput):
            for key in ("token_file", "ca_file", "client_cert_file", "client_key_file", "proxy_auth_file"):
                if (path := getattr(output, key)) is not None:
                    yield f"output[{number}].{key}", str(path)
    for key in ("token_file", "ca_file"):
        if (path := getattr(config.coder, key)) is not None:
            yield f"coder.{key}", str(path)


def _hides(unit: Unit, path: str) -> str | None:
    """Why a service does not see a path, or None."""
    for key in ("BindReadOnlyPaths", "BindPaths"):
        # source:destination:options
        shown = [entry.split(":")[1] if ":" in entry else entry for entry in unit.says(key).split()]
        if any(_below(path, place.lstrip("-+")) for place in shown):
            return None
    if unit.says("PrivateTmp") in ("yes", "disconnected") and (folder := _first(path, TEMPORARY)):
        return f"PrivateTmp={unit.says('PrivateTmp')} gives it a {folder} of its own"
    if unit.says("ProtectHome") in ("yes", "tmpfs") and (folder := _first(path, HOMES)):
        return f"ProtectHome={unit.says('ProtectHome')} hides {folder}"
    for key in ("InaccessiblePaths", "TemporaryFileSystem"):
        places = [entry.lstrip("-+").split(":")[0] for entry in unit.says(key).split()]
        if folder := _first(path, tuple(places)):
            return f"{key}= hides {folder}"
    return None


def _writing(unit: Unit, config: Config) -> Iterator[Finding]:
    """Whether the state folder may be written."""
    if unit.says("ProtectSystem") != "strict":
        return
    folder = str(config.state.dir)
    open_ = [f"/var/lib/{name}" for name in unit.says("StateDirectory").split()]
    open_ += [entry.lstrip("-+") for entry in unit.says("ReadWritePaths").split()]
    open_ += [entry.lstrip("-+").split(":")[0] for entry in unit.says("BindPaths").split()]
    if not any(_below(folder, place) for place in open_):
        text = f"the service may not write to {folder}: ProtectSystem=strict leaves it {' '.join(open_) or 'nothing'}"
        yield problem(
            CHECK, "state.dir", text, f"a drop-in with ReadWritePaths={folder}, or state.dir below /var/lib/connlog"
        )


def _of_coder(config: Config, paths: dict[str, str]) -> Iterator[Finding]:
    """coderd's own unit may write into a folder for temporary files that nobody else sees."""
    concerned = [key for key, path in paths.items() if key.startswith("input") and _first(path, TEMPORARY)]
    if not concerned:
        return
    units = [CODER_UNIT]
    for source in config.inputs:
        if isinstance(source, JournaldInput):
            units += [match.name for match in matches_of(source) if match.option == "unit"]
    for name in dict.fromkeys(units):
        try:
            unit = ask_unit(name)
        except ServiceError:
            return
        if unit.there and unit.says("PrivateTmp") in ("yes", "disconnected"):
            text = f"{name} has PrivateTmp={unit.says('PrivateTmp')}: what it writes there is seen by nobody else"
            yield warning(CHECK, concerned[0], text, "let coderd log to /var/log/coder, or to the journal")


def _advice(path: str) -> str:
    if _first(path, TEMPORARY):
        return "let coderd log to /var/log/coder instead, where connlog may read it"
    return f"put it elsewhere, or show it by a drop-in with BindReadOnlyPaths={path}"


def _first(path: str, folders: tuple[str, ...]) -> str | None:
    return next((folder for folder in folders if _below(path, folder)), None)


def _below(path: str, folder: str) -> bool:
    return bool(folder) and PurePath(path).is_relative_to(folder)
