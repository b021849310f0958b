"""The unit: what systemd knows of a service, asked within a bound of time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from shipper.errors import ServiceError

ASK_SECONDS = 5.0
SAID_MAX_BYTES = 16 << 20
"""Of what a program says, this much is kept."""
PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MainPID", "UnitFileState", "StatusText"),
    *("User", "Group", "SupplementaryGroups", "PrivateTmp", "ProtectHome", "ProtectSystem", "InaccessiblePaths"),
    *("ReadWritePaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "StateDirectory", "FragmentPath"),
    *("DropInPaths", "NeedDaemonReload", "Environment", "EnvironmentFiles", "LogRateLimitIntervalUSec"),
    *("LogRateLimitBurst", "MemoryMax", "LogNamespace", "StandardOutput", "StandardError"),
)
CREDENTIAL_STORES = tuple(
    Path(folder) for folder in ("/etc/credstore", "/etc/credstore.encrypted", "/run/credstore", "/usr/lib/credstore")
)
"""Where systemd looks for a credential that is no absolute path."""
_SETTINGS_MAX_BYTES = 1 << 20


class Said(Struct, frozen=True):
    """How a program ended and what it said."""

    code: int
    out: str
    err: str


def ask(*words: str, seconds: float = ASK_SECONDS) -> Said:
    """Run a program without input, in the language C. Raises ServiceError where there is none or it does not end."""
    program = shutil.which(words[0])
    if program is None:
        raise ServiceError(f"there is no {words[0]} here")
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    try:
        done = subprocess.run(
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=kept | {"LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceError(f"'{' '.join(words[:3])}' did not end in {seconds:g} seconds") from None
    except OSError as error:
        raise ServiceError(f"{program}: {error.strerror}") from error
    out, err = (text[:SAID_MAX_BYTES].decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return Said(done.returncode, out, err)


class Unit(Struct, frozen=True):
    """One service; ``facts`` are its properties by name, as ``systemctl show`` writes them."""

    name: str
    facts: dict[str, str]

    @property
    def there(self) -> bool:
        """Whether systemd has it."""
        return self.facts.get("LoadState") == "loaded"

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self.facts.get("ActiveState") in ("active", "reloading")

    def says(self, name: str) -> str:
        """A property, empty where it is not set."""
        return self.facts.get(name, "")

    def files(self) -> list[Path]:
        """Its own file and the drop-ins, in the order in which systemd reads them."""
        names = [self.says("FragmentPath"), *self.says("DropInPaths").split()]
        return [Path(name) for name in names if name.startswith("/")]

    def settings(self, *keys: str) -> list[str]:
        """The values of keys that may be there several times, as the files have them; an empty one takes back those
        before it. What can't be read is left out."""
        found: list[str] = []
        for path in self.files():
            for line in _lines(path):
                key, equals, value = line.strip().partition("=")
                if equals and key.strip() in keys:
                    found = [*found, value.strip()] if value.strip() else []
        return found

    def credentials(self) -> dict[str, Path]:
        """Where systemd takes each credential from, by the name under which the service gets it."""
        found: dict[str, Path] = {}
        for value in self.settings("LoadCredential", "LoadCredentialEncrypted"):
            name, _, source = value.partition(":")
            path = Path(source or name)
            places = [path] if path.is_absolute() else [folder / path for folder in CREDENTIAL_STORES]
            found[name] = next((place for place in places if _is_there(place)), places[0])
        return found


def ask_unit(name: str) -> Unit:
    """The unit as systemd has it now. Raises ServiceError where there is no systemd to ask."""
    said = ask("systemctl", "show", name, *(f"--property={key}" for key in PROPERTIES))
    if said.code:
        raise ServiceError(" ".join(said.err.split()) or f"systemctl ended with {said.code}")
    return Unit(name, dict(_pairs(said.out.splitlines())))


def _pairs(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        key, equals, value = line.partition("=")
        if equals:
            yield key, value


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return file.read(_SETTINGS_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
