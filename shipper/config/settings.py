"""The settings: the configuration as frozen values, each field with the option it is read from.

Units are in the fields' names. A new setting is a field here; the shipped file and the page of the
documentation follow with ``make docs``.
"""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from shipper.config.hec import SplunkHecOutput
from shipper.config.inputs import CoderApiInput, FileInput, Input, JournaldInput, StdinInput
from shipper.config.option import (
    Address,
    Choice,
    Duration,
    Folder,
    Option,
    OptionalFile,
    Size,
    WebAddress,
)

_SECOND_MS, _DAY_MS = 1000, 86_400_000


class State(Struct, frozen=True):
    """Where connlog keeps what it must not lose."""

    dir: Annotated[
        Path,
        Option(
            "dir",
            Folder(),
            "The folder of the journal, the read positions and the index; made with mode 0750 where it is missing. "
            "Without this key it is the first of: $STATE_DIRECTORY (which systemd sets), /var/lib/connlog where the "
            "configuration is /etc/connlog/connlog.toml, $XDG_STATE_HOME/connlog, and what stands here.",
        ),
    ]
    journal_max_bytes: Annotated[
        int,
        Option(
            "journal_max",
            Size(16 << 20, 1 << 50),
            "How large the journal may grow while an output is behind. At the limit reading stops, loudly, and goes on "
            "when there is room; nothing is dropped.",
        ),
    ] = 1 << 30
    quarantine_max_bytes: Annotated[
        int,
        Option(
            "quarantine_max",
            Size(0, 1 << 50),
            "How much text of malformed entries the quarantine keeps, beside the journal's own limit. At the limit an "
            "entry's place and reason are still kept and it is counted, but not its text, loudly.",
        ),
    ] = 256 << 20
    delivered_max_bytes: Annotated[
        int,
        Option(
            "delivered_max",
            Size(0, 1 << 50),
            "How large the ledger of what was delivered to Splunk may grow, beside the journal's own limit, at some 25 "
            "bytes an event; the oldest goes first. `connlog splunk verify` compares it with what Splunk holds.",
        ),
    ] = 256 << 20
    delivered_retention_seconds: Annotated[
        int,
        Option("delivered_retention", Duration(3600 * _SECOND_MS, 36500 * _DAY_MS), "How long that ledger goes back."),
    ] = 30 * 86400


class IndexOutput(Struct, frozen=True):
    """The local searchable index, which `connlog search` and `connlog tail` ask."""

    type: Annotated[str, Option("type", Choice(("index",)), "The type of the output; must be given.")] = "index"
    retention_seconds: Annotated[
        int | None,
        Option(
            "retention",
            Duration(60 * _SECOND_MS, 36500 * _DAY_MS, endless=True),
            "How long events stay, counted from the time they were stored, never from the time they claim.",
        ),
    ] = 365 * 86400
    size_max_bytes: Annotated[
        int | None,
        Option(
            "size_max",
            Size(16 << 20, 1 << 50, endless=True),
            "How large the index may grow. Beyond that the events that were stored first go before their time, loudly, "
            "and their room is given back to the disk. Looked at once a minute; what was written last may take 64 MiB more.",
        ),
    ] = None
    ongoing_max_seconds: Annotated[
        int | None,
        Option(
            "ongoing_max",
            Duration(60 * _SECOND_MS, 36500 * _DAY_MS, endless=True),
            "How long a connection whose end was not seen is called ongoing; after that its state is unknown. "
            "`status:ongoing` finds it all the same, as Coder does.",
        ),
    ] = 30 * 86400

    @property
    def name(self) -> str:
        """What it is called in status, metrics and the journal."""
        return "index"


class Metrics(Struct, frozen=True):
    """Where the daemon answers Prometheus and health checks."""

    listen: Annotated[
        str,
        Option(
            "listen",
            Address(),
            "The address of /metrics (Prometheus text), /healthz and /readyz; port 0 picks a free one and logs it, an "
            "empty text turns it off. Whoever reaches it may read the names of files and of new keys, so keep it on the "
            "loopback address or behind a firewall.",
        ),
    ] = "127.0.0.1:9464"


class Coder(Struct, frozen=True):
    """Coder's own API: who is behind the ids of the log, and a second record of the same connections."""

    url: Annotated[
        str,
        Option(
            "url",
            WebAddress(),
            "Where Coder is, as its users open it. Without it nothing is asked and names come from files only; the "
            "commands `connlog names sync` and `connlog reconcile` then take `$CODER_URL`.",
        ),
    ] = ""
    token_file: Annotated[
        Path | None,
        Option(
            "token_file",
            OptionalFile(secret=True),
            "The file with a token of Coder's in its first line; read again whenever it is refused. A relative name is "
            "looked for in `$CREDENTIALS_DIRECTORY` first. Without it: the systemd credential `coder-token`, else "
            "`$CODER_SESSION_TOKEN`. An Auditor's token is enough for users, organizations and the connection log.",
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        Option(
            "ca_file",
            OptionalFile(),
            "Certificates, in PEM form, that Coder's own is checked against instead of the system's.",
        ),
    ] = None
    timeout_seconds: Annotated[
        float,
        Option("timeout", Duration(100, 600 * _SECOND_MS, whole=False), "How long one answer may take, whole."),
    ] = 30.0
    refresh_seconds: Annotated[
        int,
        Option(
            "refresh",
            Duration(10 * _SECOND_MS, 7 * _DAY_MS),
            "How often the daemon asks for the users who were there and the workspaces that were used since it asked last, "
            "for all organizations, and for the names in the connection log. An id that nobody knows is asked for at once.",
        ),
    ] = 900
    refresh_all_seconds: Annotated[
        int,
        Option(
            "refresh_all",
            Duration(60 * _SECOND_MS, 366 * _DAY_MS),
            "How often it asks for all users and workspaces again, one request for each hundred: so deletions are seen, and "
            "renames of who was not there meanwhile.",
        ),
    ] = 86_400


class Log(Struct, frozen=True):
    """What the daemon writes of itself, to its stderr. Never a line of the logs that it reads, and no secret."""

    level: Annotated[
        str,
        Option(
            "level",
            Choice(("info", "debug", "warning", "error")),
            "From which level on. At debug, faults of connlog's own are told with what Python says of them, which may "
            "quote a piece of a log.",
        ),
    ] = "info"
    format: Annotated[
        str,
        Option(
            "format",
            Choice(("auto", "journal", "terminal", "text", "json")),
            "journal puts the priority before each line, as journald wants it; terminal is for people; text has the "
            "whole time stamp; json is one object a line. auto finds out where stderr leads.",
        ),
    ] = "auto"


Output = IndexOutput | SplunkHecOutput


class Config(Struct, frozen=True):
    """A whole configuration. ``path`` is the file it was read from, None for the built-in defaults."""

    path: Path | None
    state: State
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    metrics: Metrics = Metrics()
    coder: Coder = Coder()
    log: Log = Log()


DEFAULT_INPUTS: tuple[Input, ...] = (FileInput(paths=("/var/log/coder/*.log",)),)
DEFAULT_OUTPUTS = (IndexOutput(),)
INPUT_TYPES: dict[str, type[Input]] = {
    "file": FileInput,
    "journald": JournaldInput,
    "stdin": StdinInput,
    "coder_api": CoderApiInput,
}
OUTPUT_TYPES: dict[str, type[Output]] = {"index": IndexOutput, "splunk_hec": SplunkHecOutput}
