"""The set-up: makes a Splunk what connlog needs, step by step, and changes nothing that is so already.

Each step looks first and then does only what is missing, so that it can be run again at any time, and after a
failure goes on where it stopped. With ``dry_run`` it only looks.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from shipper.errors import RemoteError
from shipper.splunk.addon import APP, addon_version, pack
from shipper.splunk.file import same_token, write_whole
from shipper.splunk.management import Management, RemoteConflict

THERE, DONE, WOULD, BY_HAND, NOTE = "there", "done", "would", "by hand", "note"
MACRO = "connlog_index"
MACRO_SHIPPED = "(index=*)"
SOURCETYPE = "coder:connection_log"
GAP_SOURCETYPE = "connlog:gap"
_TRUE = {"1", "true", "t", "yes"}
_match_own = re.compile(r'\(?index="[a-z0-9_-]+"(?: OR index="[a-z0-9_-]+")*\)?').fullmatch
_match_index = re.compile(r'index="([a-z0-9_-]+)"')
_INSTALL_BY_HAND = (
    "write it with 'connlog splunk app -o FILE' and install it in the web interface (Apps, Manage Apps, Install app from "
    "file), or give --addon with a path on Splunk's own machine or a URL that Splunk can fetch"
)


class Wanted(Struct, frozen=True, kw_only=True):
    """What Splunk shall be like. What is None stays as it is, and as Splunk has it by default where it is made.

    ``index`` is where events go, ``routed`` are other indexes that some go to; ``allowed`` is the token's whole list of
    indexes. ``addon`` is a path on the server's own disk
    or a URL, empty for a copy of connlog's own where the server is this machine, None to leave add-ons alone.
    """

    index: str
    routed: tuple[str, ...] = ()
    token_name: str = "connlog"  # noqa: S105  # the name of a token, not its secret
    token_file: Path | None = None
    overwrite: bool = False
    allowed: tuple[str, ...] | None = None
    ack: bool | None = None
    retention_seconds: int | None = None
    index_max_bytes: int | None = None
    addon: str | None = ""


class Step(Struct, frozen=True):
    """One step: what it is about, what became of it (there, done, would, by hand, note), and a sentence about that."""

    name: str
    state: str
    says: str


class Setup:
    """One run over a Splunk. ``steps`` raises RemoteError or OSError where it can't go on; what came before is done."""

    def __init__(self, management: Management, wanted: Wanted, *, dry_run: bool = False) -> None:
        self._splunk = management
        self._wanted = wanted
        self._dry_run = dry_run
        self.endpoint: str | None = None
        """Where the collector listens, as far as the management port tells."""
        self._indexes = tuple(dict.fromkeys((wanted.index, *wanted.routed)))

    def steps(self) -> Iterator[Step]:
        """Take the steps, each when it is asked for."""
        about = self._splunk.about()
        kind = " (Splunk Cloud)" if about.get("instance_type", "").lower() == "cloud" else ""
        name, version = about.get("serverName", "?"), about.get("version", "?")
        yield Step("server", THERE, f"{name}, Splunk {version}{kind}")
        for index in self._indexes:
            yield self._index(index)
        yield self._collector()
        yield self._token()
        yield from self._token_file()
        if self._wanted.addon is not None:
            yield self._addon()
            yield self._macro()
        if not self._dry_run and self._splunk.wants_restart():
            yield Step("restart", NOTE, "Splunk says that it has to be restarted for a change to hold")

    # ---- steps ---------------------------------------------------------------------------------

    def _index(self, name: str) -> Step:
        wanted = self._wanted
        settings: dict[str, str] = {}
        if wanted.retention_seconds is not None:
            settings["frozenTimePeriodInSecs"] = str(wanted.retention_seconds)
        if wanted.index_max_bytes is not None:
            settings["maxTotalDataSizeMB"] = str(max(1, wanted.index_max_bytes >> 20))
        held = self._splunk.index(name)
        if held is None:
            return self._make(
                "index", f"create {name}{_listed(settings)}", lambda: self._splunk.create_index(name, **settings)
            )
        if held.get("datatype", "event") == "metric":
            raise RemoteError(f"the index {name} holds metrics and takes no events; choose another with --index")
        changes = {key: value for key, value in settings.items() if held.get(key) != value}
        disabled = _is_true(held.get("disabled"))
        if not changes and not disabled:
            return Step("index", THERE, name)

        def change() -> None:
            if changes:
                self._splunk.change_index(name, **changes)
            if disabled:
                self._splunk.enable_index(name)

        return self._do("index", f"change {name}{_changed(held, changes)}{', enable it' if disabled else ''}", change)

    def _collector(self) -> Step:
        held = self._splunk.collector()
        if held is None:
            # Splunk Cloud shows no global settings: the collector is always on there.
            return Step("collector", THERE, "its settings are not shown here; it is taken to be on")
        port, tls = held.get("port") or "8088", _is_true(held.get("enableSSL", "1"))
        host = self._splunk.server.host
        self.endpoint = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        where = f"port {port}, {'https' if tls else 'http without TLS'}"
        if _is_true(held.get("disabled")):
            return self._do("collector", f"switch the HTTP Event Collector on, {where}", self._splunk.enable_collector)
        return Step("collector", THERE, where)

    def _token(self) -> Step:
        wanted, name = self._wanted, self._wanted.token_name
        held = self._splunk.token(name)
        allowed = sorted(wanted.allowed if wanted.allowed is not None else self._indexes)
        settings = {"index": wanted.index}
        if wanted.ack is not None:
            settings["useACK"] = "1" if wanted.ack else "0"
        if held is None:
            settings |= {"indexes": ",".join(allowed), "sourcetype": SOURCETYPE, "disabled": "0"}
            settings.setdefault("useACK", "0")
            return self._make("token", f"create {name}{_listed(settings)}", lambda: self._create_token(settings))
        if _is_true(held.get("disabled")):
            settings["disabled"] = "0"
        present = sorted(filter(None, (part.strip() for part in held.get("indexes", "").split(","))))
        # An empty list lets the token write anywhere; it is narrowed only where a list was asked for.
        if wanted.allowed is not None:
            settings["indexes"] = ",".join(allowed)
        elif present:
            settings["indexes"] = ",".join(sorted({*present, *self._indexes}))
        changes = {key: value for key, value in settings.items() if not _same(key, held.get(key, ""), value)}
        if not changes:
            return Step("token", THERE, name)
        return self._do(
            "token", f"change {name}{_changed(held, changes)}", lambda: self._splunk.change_token(name, **changes)
        )

    def _create_token(self, settings: dict[str, str]) -> None:
        self._splunk.create_token(self._wanted.token_name, description="connlog", **settings)

    def _token_file(self) -> Iterator[Step]:
        path = self._wanted.token_file
        if path is None:
            return
        held = self._splunk.token(self._wanted.token_name)
        if held is None and self._dry_run:
            yield Step("token file", WOULD, f"write the new token into {path}, mode 0600")
            return
        token = (held or {}).get("token", "")
        if not token or set(token) == {"*"} or not token.isascii() or not token.isprintable():
            yield Step(
                "token file",
                BY_HAND,
                f"Splunk does not show the token {self._wanted.token_name}; copy it from its web interface into {path}",
            )
            return
        same = same_token(path, token)
        if same:
            yield self._narrow(path)
        elif same is not None and not self._wanted.overwrite:
            yield Step(
                "token file",
                BY_HAND,
                f"{path} holds another token and is left so; --overwrite puts this one in its place",
            )
        else:
            yield self._do(
                "token file",
                f"write the token into {path}, mode 0600",
                lambda: write_whole(path, f"{token}\n".encode(), 0o600),
            )

    def _narrow(self, path: Path) -> Step:
        """The file holds the token; nobody else may read it."""
        mode = path.stat().st_mode & 0o777
        if mode & 0o037:
            return self._do(
                "token file", f"narrow the mode of {path} from {mode:04o} to 0600", lambda: path.chmod(0o600)
            )
        return Step("token file", THERE, str(path))

    def _addon(self) -> Step:
        version = addon_version()
        held = self._splunk.app(APP)
        there = held.get("version", "") if held is not None else None
        if there == version:
            return Step("add-on", THERE, f"{APP} {version}")
        if there is not None and _rank(there) > _rank(version):
            return Step("add-on", THERE, f"{APP} {there}, newer than this connlog's {version}, is left as it is")
        what = (
            f"install {APP} {version}" if there is None else f"update {APP} from {there or 'no version'} to {version}"
        )
        place = self._wanted.addon
        if not place and not self._splunk.server.local:
            return Step("add-on", BY_HAND, f"{what}: {_INSTALL_BY_HAND}")
        return self._do("add-on", what, lambda: self._install(place or ""))

    def _install(self, place: str) -> None:
        if place:
            self._splunk.install(place)
            return
        with tempfile.TemporaryDirectory(prefix="connlog-") as folder:
            # Splunk runs as another user, and there is no secret in it.
            Path(folder).chmod(0o755)
            package = Path(folder) / f"{APP}.tgz"
            write_whole(package, pack(), 0o644)
            self._splunk.install(str(package))

    def _macro(self) -> Step:
        held = self._splunk.macro(APP, MACRO)
        # What an earlier run has set is added to: events of before are still where they were.
        before = _match_index.findall(held) if held is not None and _match_own(held) else []
        indexes = tuple(dict.fromkeys((*before, *self._indexes)))
        definition = " OR ".join(f'index="{index}"' for index in indexes)
        if len(indexes) > 1:
            definition = f"({definition})"
        if held is None:
            state = WOULD if self._dry_run else BY_HAND
            return Step("macro", state, f"set {MACRO} to {definition}, once the add-on is installed")
        if held == definition:
            return Step("macro", THERE, f"{MACRO} is {definition}")
        if held != MACRO_SHIPPED and not before:
            return Step("macro", THERE, f"{MACRO} was set to {held} by somebody and is left so")
        was = f" from {held}" if before else ""
        return self._do(
            "macro", f"set {MACRO}{was} to {definition}", lambda: self._splunk.set_macro(APP, MACRO, definition)
        )

    # ---- doing ---------------------------------------------------------------------------------

    def _do(self, name: str, says: str, act: Callable[[], None]) -> Step:
        if self._dry_run:
            return Step(name, WOULD, says)
        act()
        return Step(name, DONE, says)

    def _make(self, name: str, says: str, act: Callable[[], None]) -> Step:
        """The same for what another run may have made since it was looked for."""
        try:
            return self._do(name, says, act)
        except RemoteConflict:
            return Step(name, THERE, "it was made by somebody else just now; run this again to look at its settings")


def _is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in _TRUE


def _same(key: str, held: str, wanted: str) -> bool:
    """Whether a setting has the value already, in whichever of Splunk's ways it is written."""
    if key in ("useACK", "disabled"):
        return _is_true(held) == _is_true(wanted)
    if key == "indexes":
        return sorted(part.strip() for part in held.split(",")) == wanted.split(",")
    return held == wanted


def _listed(settings: dict[str, str]) -> str:
    return "".join(f", {key} {value}" for key, value in settings.items())


def _changed(held: dict[str, str], changes: dict[str, str]) -> str:
    return "".join(f", {key} from {held.get(key) or 'nothing'} to {value}" for key, value in changes.items())


def _rank(version: str) -> tuple[int, ...]:
    """The order of versions as far as it is needed here: their numbers; one before its release ranks below it."""
    release, dash, _ = version.partition("-")
    numbers = tuple(int(part) if part.isdigit() else 0 for part in release.split("."))
    return (*(*numbers, 0, 0, 0)[:3], 0 if dash else 1)
