"""The splunkd double: a real HTTP or HTTPS server on 127.0.0.1 that answers the REST calls that ``splunklib`` makes.

    with Splunkd(World()) as splunk:
        ... splunk.url, BEARER

``faults`` are used up one for each request whose path and method they name. ``asked`` keeps every request.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.splunk.expression import text_of
from tests.splunk.pipeline import Table, run
from tests.splunkd.atom import Entry, error, feed
from tests.splunkd.world import BEARER, Content, World

ROWS_KNOWN = {"_time", "_indextime", "host", "index", "source", "sourcetype", "event_id"}


@dataclass
class Fault:
    """What goes wrong with the next request whose path holds ``path``: an answer of its own, or a way of answering."""

    path: str
    method: str = ""
    status: int = 200
    body: bytes = b""
    content_type: str = "text/xml; charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    drip_seconds: float = 0.0
    before: bool = False
    """The request is carried out, and then this is answered."""


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    values: dict[str, str]
    headers: dict[str, str]


class Answer(Exception):
    """An answer that ends the handling of a request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or does not trust the certificate, is no news."""


class Splunkd:
    """The double, serving from ``with`` on."""

    def __init__(self, world: World, tls: ssl.SSLContext | None = None) -> None:
        self.world = world
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error_: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def changes(self) -> list[str]:
        """Every request that was meant to change something."""
        return [
            f"{one.method} {one.path}" for one in self.asked if one.method != "GET" and "/jobs/export" not in one.path
        ]

    # ---- the calls -----------------------------------------------------------------------------

    def answer(self, asked: Asked) -> tuple[str, bytes]:
        """Content type and body for a request. Raises Answer."""
        path = re.sub(r"^/services(NS/[^/]+/[^/]+)?/", "", asked.path)
        if asked.headers.get("Authorization") != f"Bearer {BEARER}":
            raise Answer(401, "call not properly authenticated")
        for pattern, call in (
            (r"server/info(?:/server-info)?", self._info),
            (r"messages(?:/([^/]+))?", self._messages),
            (r"data/indexes(?:/([^/]+)(/enable|/disable)?)?", self._indexes),
            (r"data/inputs/http(?:/(.+))?", self._tokens),
            (r"apps/local(?:/([^/]+))?", self._apps),
            (r"configs/conf-macros/([^/]+)", self._macros),
            (r"search/(?:v2/)?jobs/export", self._export),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                return call(asked, *[unquote(group) if group else None for group in found.groups()])
        raise Answer(404, "Not Found")

    def _need(self, capability: str) -> None:
        if capability not in self.world.capabilities:
            raise Answer(403, f"insufficient permission to access this resource: needs {capability}")

    def _feed(self, title: str, entries: list[Entry]) -> tuple[str, bytes]:
        return "text/xml; charset=UTF-8", feed(title, entries)

    def _info(self, asked: Asked, *_rest: str | None) -> tuple[str, bytes]:
        content: Content = {"version": self.world.version, "serverName": "splunk-1", "product_type": "enterprise"}
        if self.world.cloud:
            content["instance_type"] = "cloud"
        return self._feed("server-info", [Entry("server-info", "/services/server/info/server-info", content)])

    def _messages(self, asked: Asked, name: str | None) -> tuple[str, bytes]:
        names = [one for one in self.world.messages if name in (None, one)]
        if name is not None and not names:
            raise Answer(404, f"Could not find object id={name}")
        return self._feed(
            "messages", [Entry(one, f"/services/messages/{one}", {"message": "restart"}) for one in names]
        )

    def _indexes(self, asked: Asked, name: str | None, action: str | None) -> tuple[str, bytes]:
        held = self.world.indexes
        if asked.method == "POST":
            self._need("indexes_edit")
            if self.world.cloud:
                raise Answer(404, "Not Found")
            name = name or asked.values["name"]
            if not action and "name" in asked.values and name in held:
                raise Answer(409, f"Index {name} already exists")
            if "name" in asked.values:
                held[name] = {"datatype": "event", "disabled": self.world.boolean("0"), "maxTotalDataSizeMB": "500000", "frozenTimePeriodInSecs": "188697600"}  # fmt: skip
            if name not in held:
                raise Answer(404, f"Index {name} does not exist")
            held[name] |= {key: value for key, value in asked.values.items() if key not in ("name", "output_mode")}
            if action:
                held[name]["disabled"] = self.world.boolean("1" if action == "/disable" else "0")
        elif name is not None and name not in held:
            raise Answer(404, f"Could not find object id={name}")
        if asked.method == "POST" and self.world.form.silent_post:
            return self._feed("indexes", [])
        names = [name] if name else sorted(held)
        return self._feed(
            "indexes", [Entry(one, f"/servicesNS/nobody/system/data/indexes/{one}", held[one]) for one in names]
        )

    def _tokens(self, asked: Asked, rest: str | None) -> tuple[str, bytes]:
        rest = None if rest is None else unquote(rest)
        if rest == "http":
            return self._collector(asked)
        name = None if rest is None else rest.removeprefix("http://").removeprefix("http:/")
        held = self.world.tokens
        if asked.method == "POST":
            self._need("edit_token_http")
            values = {key: value for key, value in asked.values.items() if key != "name"}
            if name is None:
                name = asked.values["name"]
                if name in held:
                    raise Answer(409, f"Token named http://{name} already exists")
                self.world.make_token(name)
            elif name not in held:
                raise Answer(404, f"Could not find object id=http://{name}")
            for index in filter(None, [values.get("index", ""), *values.get("indexes", "").split(",")]):
                if index not in self.world.indexes:
                    raise Answer(400, f"Invalid index {index}")
            held[name] |= {k: self.world.boolean(v) if k in ("useACK", "disabled") else v for k, v in values.items()}
            names = [name]
        else:
            names = sorted(held) if name is None else [name] if name in held else []
            if name is not None and not names:
                raise Answer(404, f"Could not find object id={name}")
        return self._feed("http", [self._token(one) for one in names])

    def _token(self, name: str) -> Entry:
        form = self.world.form
        title = name if form.unprefixed else f"http://{name}"
        encoded = quote(title, safe="") if form.encoded_once else quote(quote(title, safe=""), safe="")
        content = dict(self.world.tokens[name])
        if self.world.masked:
            content["token"] = "********"
        if content.get("indexes") and form.words:
            content["indexes"] = str(content["indexes"]).split(",")
        return Entry(title, f"/servicesNS/nobody/splunk_httpinput/data/inputs/http/{encoded}", content, app="splunk_httpinput")  # fmt: skip

    def _collector(self, asked: Asked) -> tuple[str, bytes]:
        if self.world.collector is None:
            raise Answer(404, "Not Found")
        if asked.method == "POST":
            self._need("edit_token_http")
            self.world.collector["disabled"] = self.world.boolean(asked.values["disabled"])
        return self._feed("http", [Entry("http", "/servicesNS/nobody/splunk_httpinput/data/inputs/http/http", self.world.collector, app="splunk_httpinput")])  # fmt: skip

    def _apps(self, asked: Asked, name: str | None) -> tuple[str, bytes]:
        if asked.method == "POST":
            self._need("edit_local_apps")
            if self.world.cloud:
                raise Answer(403, "Install apps by ACS")
            assert (asked.values["filename"], asked.values["update"]) == ("true", "true")
            name = self.world.install(asked.values["name"])
            if name is None:
                raise Answer(400, f"Application package does not exist: {asked.values['name']}")
        elif name not in self.world.apps:
            raise Answer(404, f"Could not find object id={name}")
        assert name is not None
        return self._feed(
            "localapps", [Entry(name, f"/servicesNS/nobody/system/apps/local/{name}", self.world.apps[name])]
        )

    def _macros(self, asked: Asked, name: str | None) -> tuple[str, bytes]:
        found = re.match(r"/servicesNS/nobody/([^/]+)/", asked.path)
        assert found
        assert name is not None
        held = self.world.macros.get((found[1], name))
        if held is None:
            raise Answer(404, f"Could not find object id={name}")
        if asked.method == "POST":
            self._need("admin_all_objects")
            held["definition"] = asked.values["definition"]
        link = f"/servicesNS/nobody/{found[1]}/configs/conf-macros/{name}"
        return self._feed("conf-macros", [Entry(name, link, held, app=found[1])])

    def _export(self, asked: Asked, *_rest: str | None) -> tuple[str, bytes]:
        self._need("search")
        assert (asked.values["output_mode"], asked.values["preview"]) == ("json", "0")
        earliest, latest = float(asked.values["earliest_time"]), float(asked.values["latest_time"])
        rows: list[Any] = [
            {"_time": e.time, "_indextime": e.indexed, "index": e.index, "sourcetype": e.sourcetype, "host": e.host, "event_id": e.id}
            for e in self.world.events
            if earliest <= e.time < latest
        ]  # fmt: skip
        found = run(asked.values["search"], Table(rows, ROWS_KNOWN))
        lines: list[dict[str, Any]] = [
            {"messages": [{"type": kind, "text": text}]} for kind, text in self.world.search_messages
        ]
        lines += [
            {"preview": False, "offset": place, "result": {name: text_of(value) for name, value in row.items()}}
            for place, row in enumerate(found.rows)
        ]
        if found.rows:
            lines[-1]["lastrow"] = True
        else:
            lines.append({"preview": False, "lastrow": True})
        return "application/json; charset=UTF-8", b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


def _handler(splunkd: Splunkd) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: tests look at ``asked``."""

        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def do_DELETE(self) -> None:
            self._serve("DELETE")

        def _serve(self, method: str) -> None:
            split = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pairs = parse_qs(split.query, keep_blank_values=True) | parse_qs(body.decode(), keep_blank_values=True)
            # Splunk unescapes the path once before it looks for the object.
            asked = Asked(method, split.path, {key: values[0] for key, values in pairs.items()}, dict(self.headers))
            with splunkd.lock:
                splunkd.asked.append(asked)
                fault = next((one for one in splunkd.faults if one.path in asked.path and method.startswith(one.method)), None)  # fmt: skip
                if fault is not None:
                    splunkd.faults.remove(fault)
                status, (kind, answer) = 200, ("", b"")
                if fault is None or fault.before or fault.drip_seconds or fault.cut:
                    status, kind, answer = self._carried_out(asked)
            if fault is None:
                self._send(status, kind, answer, {})
            elif fault.cut:
                self._send(status, kind, answer[: len(answer) // 2], {"Content-Length": str(len(answer))})
            elif fault.drip_seconds:
                self._drip(kind, answer, fault.drip_seconds)
            else:
                self._send(fault.status, fault.content_type, fault.body, fault.headers)

        def _carried_out(self, asked: Asked) -> tuple[int, str, bytes]:
            try:
                kind, answer = splunkd.answer(asked)
            except Answer as other:
                kind, answer = error(other.text, splunkd.world.form.json_errors)
                return other.status, kind, answer
            return 201 if asked.method == "POST" else 200, kind, answer

        def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def _drip(self, kind: str, body: bytes, seconds: float) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for piece in _pieces(body):
                try:
                    self.wfile.write(piece)
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(seconds)

    return Handler


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 1] for at in range(len(body)))
