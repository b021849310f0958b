"""Splunk's management: what set-up and check ask of it over its REST API, in connlog's own words and errors.

The only module that knows ``splunklib``. Its entities come in as plain dictionaries of text, and everything
that it raises comes out as RemoteRefused, RemoteMissing, RemoteBusy or RemoteError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from xml.etree import ElementTree as ET

from msgspec import Struct
from splunklib import binding, client

from shipper.errors import RemoteBusy, RemoteError, RemoteMissing, RemoteRefused
from shipper.splunk.transport import Server, make_handler

TOKENS = "data/inputs/http"
TOKENS_APP = "splunk_httpinput"
"""Where Splunk's own pages keep the collector's tokens."""
TOKENS_MAX_COUNT = 10_000
REASON_MAX_CHARACTERS = 300
_message = re.compile(rb"<msg\b[^>]{0,100}>([^<]{1,4000})</msg>").search
_ANY = {"owner": "-", "app": "-"}


class Found(Struct, frozen=True):
    """Rows of a search, and what Splunk said beside them: with a warning the rows may not be all."""

    rows: list[dict[str, Any]]
    warnings: list[str]


class Management:
    """A Splunk, asked with a token. Nothing is asked before the first call."""

    def __init__(self, server: Server, token: str) -> None:
        self.server = server
        self._service = client.Service(
            handler=make_handler(server),
            scheme=server.scheme,
            host=server.host,
            port=server.port,
            splunkToken=token,
        )

    # ---- the server ----------------------------------------------------------------------------

    def about(self) -> dict[str, str]:
        """What the server says of itself: ``version``, ``serverName``, ``instance_type`` and more."""
        with self._asking("ask what it is"):
            return _texts(self._service.info)

    def wants_restart(self) -> bool:
        """Whether it says that it has to be started anew for a change to hold."""
        with self._asking("read its messages"):
            return "restart_required" in self._service.messages

    # ---- indexes -------------------------------------------------------------------------------

    def index(self, name: str) -> dict[str, str] | None:
        """The settings of an index, None where there is none of this name."""
        with self._asking(f"look for the index {name}"):
            return self._one(self._service.indexes, name)

    def create_index(self, name: str, **settings: str) -> None:
        """Make an index. Raises RemoteConflict where it is there already."""
        with self._asking(f"create the index {name}"):
            self._service.post("data/indexes", name=name, **settings)

    def change_index(self, name: str, **settings: str) -> None:
        """Change settings of an index."""
        with self._asking(f"change the index {name}"):
            self._service.indexes[name].update(**settings)

    def enable_index(self, name: str) -> None:
        """Let an index that is disabled take events again."""
        with self._asking(f"enable the index {name}"):
            self._service.indexes[name].enable()

    # ---- the collector -------------------------------------------------------------------------

    def collector(self) -> dict[str, str] | None:
        """The settings that all tokens share: ``disabled``, ``port``, ``enableSSL``; None where it is not there."""
        with self._asking("look at the HTTP Event Collector"):
            return self._one(self._tokens(), "http")

    def enable_collector(self) -> None:
        """Switch the collector on."""
        with self._asking("switch the HTTP Event Collector on"):
            self._service.post(f"{TOKENS}/http", disabled="0")

    def token(self, name: str) -> dict[str, str] | None:
        """The settings of a token of the collector, ``token`` its secret; None where there is none of this name."""
        with self._asking(f"look for the token {name}"):
            entity = self._token_entity(name)
            return None if entity is None else _texts(entity.content)

    def create_token(self, name: str, **settings: str) -> None:
        """Make a token."""
        with self._asking(f"create the token {name}"):
            self._service.post(TOKENS, owner="nobody", app=TOKENS_APP, sharing="app", name=name, **settings)

    def change_token(self, name: str, **settings: str) -> None:
        """Change settings of a token; its secret stays."""
        with self._asking(f"change the token {name}"):
            entity = self._token_entity(name)
            if entity is None:
                raise RemoteMissing(f"{self.server.shown}: the token {name} is gone; try again")
            entity.update(**settings)

    def _tokens(self) -> Any:
        return client.Collection(self._service, TOKENS)

    def _token_entity(self, name: str) -> Any:
        # By the list: the server prefixes the names of tokens, and versions differ in how they are then asked for.
        found = [
            entity
            for entity in self._tokens().list(count=TOKENS_MAX_COUNT, **_ANY)
            if str(entity.name).removeprefix("http://") == name
        ]
        return found[0] if found else None

    # ---- the add-on ----------------------------------------------------------------------------

    def app(self, name: str) -> dict[str, str] | None:
        """What is known of an installed app: ``version``, ``disabled``; None where it is not installed."""
        with self._asking(f"look for the app {name}"):
            return self._one(self._service.apps, name)

    def install(self, place: str) -> None:
        """Install or update an app from ``place``: a path on the server's own disk, or a URL that the server fetches."""
        with self._asking("install the add-on"):
            self._service.post("apps/local", name=place, filename="true", update="true")

    def macro(self, app: str, name: str) -> str | None:
        """The definition of a macro of an app, None where there is none."""
        with self._asking(f"look for the macro {name}"):
            found = self._one(self._macros(), (name, client.namespace(sharing="app", app=app)))
            return None if found is None else found.get("definition", "")

    def set_macro(self, app: str, name: str, definition: str) -> None:
        """Give a macro of an app another definition."""
        with self._asking(f"set the macro {name}"):
            self._macros()[name, client.namespace(sharing="app", app=app)].update(definition=definition)

    def _macros(self) -> Any:
        return client.Collection(self._service, "configs/conf-macros")

    # ---- searching -----------------------------------------------------------------------------

    def search(self, query: str, earliest: str, latest: str) -> Found:
        """All rows of a search over [earliest, latest), given in seconds since 1970. Raises RemoteError where it fails."""
        with self._asking("search"):
            stream = self._service.jobs.export(
                query,
                earliest_time=earliest,
                latest_time=latest,
                output_mode="json",
                preview="0",
                search_mode="normal",
            )
            return self._rows(stream.read())

    def _rows(self, body: bytes) -> Found:
        """The rows of an export: one JSON object a line, with messages among them."""
        rows: list[dict[str, Any]] = []
        warnings: list[str] = []
        for line in body.splitlines():
            if not line.strip():
                continue
            found = json.loads(line)
            for message in found.get("messages", ()):
                kind, text = str(message.get("type")), str(message.get("text"))[:REASON_MAX_CHARACTERS]
                if kind in ("ERROR", "FATAL"):
                    raise RemoteError(f"{self.server.shown}: the search failed: {text}")
                if kind == "WARN":
                    warnings.append(text)
            if found.get("preview") is True:
                continue
            if isinstance(row := found.get("result"), dict):
                rows.append(row)
        return Found(rows, warnings)

    # ---- errors --------------------------------------------------------------------------------

    @staticmethod
    def _one(collection: Any, key: Any) -> dict[str, str] | None:
        try:
            return _texts(collection[key].content)
        except KeyError:
            return None

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Give what ``splunklib`` raises as an error of connlog's own."""
        try:
            yield
        except binding.HTTPError as error:
            raise self._translated(what, error) from error
        except (
            ET.ParseError,
            LookupError,
            AttributeError,
            TypeError,
            ValueError,
            AssertionError,
            RecursionError,
        ) as error:
            # What splunklib stumbles over when an answer has another form than it expects.
            raise RemoteError(
                f"{self.server.shown}: can't {what}: answers not as Splunk's management port does; check the address"
            ) from error

    def _translated(self, what: str, error: binding.HTTPError) -> RemoteError:
        status, said = int(error.status), _said(error.body)
        head = f"{self.server.shown}: can't {what}: "
        if status == 401:
            return RemoteRefused(head + "it does not take the token; make a new one under Settings, Tokens")
        if status == 403:
            return RemoteRefused(
                head + f"the token may not do this{said}; its user needs the capability, as sc_admin or admin has"
            )
        if status == 404:
            return RemoteMissing(
                head
                + f"it is not there{said}; this asks the management port, mostly 8089; on Splunk Cloud it is done in the web "
                "interface or by ACS"
            )
        if status == 409:
            return RemoteConflict(head + f"it is there already{said}")
        if status in (408, 429, 502, 503, 504):
            return RemoteBusy(head + f"it is busy (HTTP {status}){said}; try later")
        return RemoteError(head + f"HTTP {status}{said}")


class RemoteConflict(RemoteError):
    """What was to be made is there already."""


def _said(body: bytes) -> str:
    """The server's own words in an error, in parentheses, cut to what fits a message."""
    text = ""
    try:
        if body.lstrip().startswith(b"{"):
            text = str(json.loads(body)["messages"][0]["text"])
        elif found := _message(body):
            text = unescape(found[1].decode("utf-8", "replace"))
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    text = " ".join(text.split())[:REASON_MAX_CHARACTERS]
    return f" ({text})" if text else ""


def _texts(content: Any) -> dict[str, str]:
    """The settings of an entity as text: lists joined by commas, what is missing as empty text."""
    return {
        str(key): ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
        for key, value in dict(content).items()
    }
