"""What a Splunk in small holds: indexes, tokens of the collector, apps, macros, messages, events."""

from __future__ import annotations

import tarfile
import uuid
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

BEARER = "eyJraWQiOiJzcGx1bmsuc2VjcmV0In0.eyJpc3MiOiJhZG1pbiJ9.c2lnbmF0dXJl"
Content = dict[str, str | list[str]]
COLLECTOR: Content = {"disabled": "1", "port": "8088", "enableSSL": "1"}
"""As Splunk ships it: switched off."""


@dataclass
class Form:
    """How this version writes things: booleans as 0 and 1 or as words, the names of tokens in links encoded once or
    twice, errors as XML or as JSON, what a POST answers with: the entry, or nothing."""

    words: bool = False
    encoded_once: bool = False
    json_errors: bool = False
    silent_post: bool = False
    unprefixed: bool = False


@dataclass
class Event:
    """An event as it was indexed."""

    id: str
    time: float
    indexed: float
    index: str = "coder"
    sourcetype: str = "coder:connection_log"
    host: str = "coder-0"


@dataclass
class World:
    """All of it. ``capabilities`` are those of the token's user; ``cloud``: a Splunk Cloud, where much is hidden."""

    form: Form = field(default_factory=Form)
    version: str = "9.4.1"
    cloud: bool = False
    capabilities: set[str] = field(
        default_factory=lambda: {"indexes_edit", "edit_token_http", "edit_local_apps", "admin_all_objects", "search"}
    )
    indexes: dict[str, Content] = field(default_factory=lambda: {"main": {"datatype": "event", "disabled": "0"}})
    tokens: dict[str, Content] = field(default_factory=dict)
    collector: Content | None = field(default_factory=lambda: dict(COLLECTOR))
    apps: dict[str, Content] = field(default_factory=lambda: {"search": {"version": "9.4.1", "disabled": "0"}})
    macros: dict[tuple[str, str], Content] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    search_messages: list[tuple[str, str]] = field(default_factory=list)
    masked: bool = False
    packages: dict[str, Path] = field(default_factory=dict)

    def boolean(self, value: str) -> str:
        """A boolean as this version writes it."""
        return ("true" if value == "1" else "false") if self.form.words else value

    def make_token(self, name: str, **settings: str) -> Content:
        """A token as it was made by somebody before."""
        secret = settings.pop("token", str(uuid.uuid4()))
        content: Content = {
            "disabled": "0",
            "useACK": "0",
            "index": "default",
            "indexes": "",
            "token": secret,
            **settings,
        }
        self.tokens[name] = content
        return content

    def install(self, place: str) -> str | None:
        """Install a package from the server's own disk or a URL; None where there is none. Gives the app's name."""
        path = self.packages.get(place, Path(place))
        if not path.is_file():
            return None
        with tarfile.open(path) as archive:
            name = archive.getnames()[0].split("/")[0]
            app = _conf(archive, f"{name}/default/app.conf")
            macros = _conf(archive, f"{name}/default/macros.conf")
        self.apps[name] = {"version": app["launcher"]["version"], "label": app["ui"]["label"], "disabled": "0"}
        for macro in macros.sections():
            self.macros.setdefault((name, macro), {"definition": macros[macro]["definition"], "iseval": "0"})
        return name


def _conf(archive: tarfile.TarFile, name: str) -> ConfigParser:
    file = archive.extractfile(name)
    assert file is not None
    parser = ConfigParser(interpolation=None)
    parser.read_string(file.read().decode())
    return parser
