"""The inputs: the settings of every kind of source, each field with the option it is read from."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Struct

from shipper.config.option import Choice, Duration, Globs, Option, Size, Zone
from shipper.config.word import Names, Place, Word
from shipper.pattern import pattern

_SECOND_MS = 1000
_ending = pattern(r"\.(?:service|socket|device|mount|automount|swap|target|path|timer|slice|scope)\Z")
FORMATS = ("auto", "json", "human", "stackdriver")
WRAPPERS = ("auto", "none", "docker", "cri", "journald", "syslog")
_Format = Annotated[
    str,
    Option(
        "format",
        Choice(FORMATS),
        "The form of coderd's lines; auto decides for each entry, and a source may mix them.",
    ),
]
_Zone = Annotated[
    str,
    Option(
        "tz",
        Zone(),
        "The time zone of stamps that name none. coderd always writes UTC; this is for logs that something else "
        "stamped anew.",
    ),
]
_LineMax = Annotated[
    int,
    Option(
        "line_max",
        Size(4 << 10, 64 << 20),
        "The longest entry that is read. A longer one is cut, kept as malformed and counted, and reading goes on "
        "behind it.",
    ),
]


class FileInput(Struct, frozen=True, kw_only=True):
    """Files that coderd, or what collects its output, appends to."""

    type: Annotated[str, Option("type", Choice(("file",)), "The type of the input; must be given.")] = "file"
    paths: Annotated[
        tuple[str, ...],
        Option(
            "paths",
            Globs(least=1),
            "Which files to follow, as glob patterns (`**` for any depth); files that appear later are picked up, "
            "renamed ones are read to their end. A relative pattern starts at the folder of this file.",
        ),
    ]
    exclude: Annotated[
        tuple[str, ...],
        Option(
            "exclude",
            Globs(names=True),
            "Which of them to leave out. A pattern without a slash is matched with the file's name, one with a slash "
            "with its whole path.",
        ),
    ] = ("*.gz", "*.bz2", "*.xz", "*.zst")
    format: _Format = "auto"
    wrapper: Annotated[
        str,
        Option(
            "wrapper",
            Choice(WRAPPERS),
            "What was put around coderd's lines on their way; auto finds out for each file.",
        ),
    ] = "auto"
    tz: _Zone = "UTC"
    line_max_bytes: _LineMax = 1 << 20
    poll_seconds: Annotated[
        float,
        Option(
            "poll",
            Duration(50, 3600 * _SECOND_MS, whole=False),
            "How often files are looked at, at the latest; a change that the system reports is read at once.",
        ),
    ] = 1.0
    read_from: Annotated[
        str,
        Option(
            "read_from",
            Choice(("start", "end")),
            "Where to begin in a file that was there before connlog's first start; a known file goes on where it was "
            "left, and a new one is read from its start.",
        ),
    ] = "start"


class JournaldInput(Struct, frozen=True, kw_only=True):
    """Units and other programs whose output systemd's journal has."""

    type: Annotated[str, Option("type", Choice(("journald",)), "The type of the input; must be given.")] = "journald"
    units: Annotated[
        tuple[str, ...],
        Option(
            "units",
            Names("coder.service"),
            "Which units to follow, over their restarts; a name without an ending is a service's. `*` and `?` stand for "
            "a part of a name. One of units, identifiers and containers must be given.",
        ),
    ] = ()
    identifiers: Annotated[
        tuple[str, ...],
        Option(
            "identifiers",
            Names("coder"),
            "Which programs to follow by the name they give themselves in the journal (SYSLOG_IDENTIFIER); any local "
            "user can write under any of these, so prefer units.",
        ),
    ] = ()
    containers: Annotated[
        tuple[str, ...],
        Option(
            "containers",
            Names("coder"),
            "Which containers to follow by their names, where Docker or Podman log into the journal.",
        ),
    ] = ()
    namespace: Annotated[
        str,
        Option(
            "namespace",
            Word("coder"),
            "The journal namespace that the units log into (LogNamespace=); empty: the system's own journal.",
        ),
    ] = ""
    directory: Annotated[
        str,
        Option(
            "directory",
            Place("/var/log/journal"),
            "Read the journal files of this folder, such as a host's journal in a container or a copy, and not this "
            "machine's own. Empty: this machine's own.",
        ),
    ] = ""
    read_from: Annotated[
        str,
        Option(
            "read_from",
            Choice(("start", "end")),
            "Where to begin with a unit at the first start: with the oldest entry that the journal still has, or with "
            "those that come from then on. Later starts go on where it was left.",
        ),
    ] = "start"
    on_lost_cursor: Annotated[
        str,
        Option(
            "on_lost_cursor",
            Choice(("oldest", "nearest", "newest")),
            "What to do where the journal no longer has the entry that was read last, because it was vacuumed or put "
            "away. oldest: read all that is there, but for entries that are known to come before it, and so lose "
            "nothing that is left; nearest: go on at the entry that is nearest to it in time; newest: go on with what "
            "comes from then on. In each case a gap is recorded, unless the journal proves that nothing is missing.",
        ),
    ] = "oldest"
    format: _Format = "auto"
    tz: _Zone = "UTC"
    line_max_bytes: _LineMax = 1 << 20

    def problem(self) -> tuple[str, str] | None:
        """What is wrong between the keys: the key and a sentence."""
        if not (self.units or self.identifiers or self.containers):
            return "units", 'says nothing to follow; write units = ["coder.service"]'
        return None

    def followed(self) -> Iterator[tuple[str, int, tuple[str, str, str]]]:
        """Everything that is followed: its key, its number in the list, and what it is, the same for the same thing."""
        place = self.directory or self.namespace
        for key, names in (("units", self.units), ("identifiers", self.identifiers), ("containers", self.containers)):
            for number, name in enumerate(names, start=1):
                yield key, number, (place, key, unit_name(name) if key == "units" else name)


def unit_name(name: str) -> str:
    """The whole name of a unit, as journalctl has it: one without an ending is a service's. Patterns are left alone."""
    return name if _ending.search(name) or any(char in name for char in "*?[") else f"{name}.service"


class StdinInput(Struct, frozen=True, kw_only=True):
    """What is piped into `connlog run`: `coderd 2>&1 | connlog run`."""

    type: Annotated[str, Option("type", Choice(("stdin",)), "The type of the input; must be given.")] = "stdin"
    format: _Format = "auto"
    wrapper: Annotated[
        str, Option("wrapper", Choice(WRAPPERS), "What was put around coderd's lines on their way; auto finds out.")
    ] = "auto"
    tz: _Zone = "UTC"
    line_max_bytes: _LineMax = 1 << 20


class CoderApiInput(Struct, frozen=True, kw_only=True):
    """Coder's own connection log, by its API: fills what the log has lost."""

    type: Annotated[
        str, Option("type", Choice(("coder_api",)), "The type of the input; must be given, and `[coder]` too.")
    ] = "coder_api"
    poll_seconds: Annotated[
        float, Option("poll", Duration(10 * _SECOND_MS, 7 * 86_400 * _SECOND_MS, whole=False), "How often it is asked.")
    ] = 300.0
    settle_seconds: Annotated[
        float,
        Option(
            "settle",
            Duration(_SECOND_MS, 86_400 * _SECOND_MS, whole=False),
            "How old a connection must be, and how long the daemon must have run, before the log is taken to have lost "
            "it: longer than any log is behind.",
        ),
    ] = 900.0
    look_back_seconds: Annotated[
        float,
        Option(
            "look_back",
            Duration(60 * _SECOND_MS, 3660 * 86_400 * _SECOND_MS, whole=False),
            "How far back the first poll goes; later ones go on where the last ended. `connlog reconcile` looks further.",
        ),
    ] = 86_400.0


Input = FileInput | JournaldInput | StdinInput | CoderApiInput
