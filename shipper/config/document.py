"""The document: the shipped ``config/connlog.toml`` and the page ``docs/configuration.md``, made from the options.

``python -m shipper.config.document`` writes both in a checkout; with ``--check`` it only compares, and
ends with 1 where one is stale.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from msgspec import NODEFAULT, Struct

from shipper.config.hec import SplunkHecOutput
from shipper.config.inputs import CoderApiInput, FileInput, JournaldInput, StdinInput
from shipper.config.option import slots
from shipper.config.settings import DEFAULT_INPUTS, DEFAULT_OUTPUTS, Coder, IndexOutput, Log, Metrics, State

CHECKOUT = Path(__file__).resolve().parents[2]
WIDTH = 100
DEFAULT_STATE = State(dir=Path("~/.local/state/connlog"))
EXAMPLE_HEC = SplunkHecOutput(endpoints=("https://splunk.example.com:8088",), token_file=Path("hec-token"))
_SECTIONS: tuple[tuple[str, Struct], ...] = (
    ("[state]", DEFAULT_STATE),
    ("[[input]]", DEFAULT_INPUTS[0]),
    ("[[input]]", JournaldInput(units=("coder.service",))),
    ("[[input]]", StdinInput()),
    ("[[input]]", CoderApiInput()),
    ("[[output]]", DEFAULT_OUTPUTS[0]),
    ("[[output]]", EXAMPLE_HEC),
    ("[metrics]", Metrics()),
    ("[log]", Log()),
    ("[coder]", Coder()),
)
_TITLES: dict[type[Struct], str] = {
    State: "Where connlog keeps what it must not lose.",
    FileInput: "Files that coderd, or what collects its output, appends to. One table for each group of files; "
    "without any, the one below.",
    JournaldInput: "Units and other programs whose output systemd's journal has; it is read with journalctl, so the "
    "daemon's user must be in the group systemd-journal.",
    StdinInput: "What is piped into the daemon: coderd 2>&1 | connlog run. Once only; at its end, and if it is the only "
    "input, what was read is delivered to every output, and the daemon ends.",
    CoderApiInput: "Coder's own connection log, by its API ([coder] says where): what it has and the log has lost is "
    "added with log.format api. It needs the local index and an Auditor's token; see docs/directory.md.",
    IndexOutput: "The local searchable index, which connlog search and connlog tail ask. Without any output, this one.",
    SplunkHecOutput: "Splunk, by its HTTP Event Collector. One table for each place that events go to; see docs/splunk.md.",
    Metrics: "Where the daemon answers Prometheus and health checks.",
    Log: "What the daemon writes of itself, to its stderr. Never a line of the logs that it reads, and no secret.",
    Coder: "Coder's own API: who is behind the ids of the log, and a second record of the same connections.",
}
_SHIPPED_HEAD = """\
The configuration of connlog, in TOML. Every option stands here at its default, commented out as
"#key = value" without a space: take that # away, and the one before the table's [name], and change
the value. Lines with "# " are prose. Durations are written "500ms", "5s", "1h30m" or "365d", sizes
"64KiB" or "2GiB". An unknown key is an error. After a change: connlog check -c FILE"""
_PAGE_HEAD = """\
# Configuration

<!-- Made by `make docs` from shipper/config/settings.py; `make docs-check` compares. -->

connlog reads one TOML file, the first of:

1. the file named with `-c FILE`
2. the file that `$CONNLOG_CONFIG` names
3. `/etc/connlog/connlog.toml`, if it exists
4. none: the defaults below, which run on the local index alone

[`config/connlog.toml`](../config/connlog.toml) holds every option, commented out at its default. Durations are
written `"500ms"`, `"5s"`, `"1h30m"` or `"365d"` (units ms, s, m, h, d, w), sizes `"64KiB"` or `"2GiB"` (KiB, MiB,
GiB and TiB are powers of 1024; kB, MB, GB and TB of 1000). `~/` is the home folder; a relative path starts at the
folder of the configuration file.

`connlog check` reads the file and names the problems of all options at once, each with its line and what to do, and ends
with 3; `connlog run` refuses the same file with the same words. What only using a value tells, of a filter or the file of a
certificate, it names when these are mended. Tables and entries of lists count from 1:

```
/etc/connlog/connlog.toml:4: state.journal_maxx: is not known; did you mean "journal_max"?
/etc/connlog/connlog.toml:9: input[1].poll: "1ms" is out of bounds; write a duration between 50ms and 1h
```
"""


def shipped_file() -> str:
    """The text of ``config/connlog.toml``."""
    return "\n".join(_shipped_lines()) + "\n"


def _shipped_lines() -> Iterator[str]:
    for line in _SHIPPED_HEAD.splitlines():
        yield f"# {line}"
    for header, settings in _SECTIONS:
        yield ""
        yield from _prose(_TITLES[type(settings)])
        yield f"#{header}"
        for slot in slots(type(settings)):
            yield ""
            yield from _prose(slot.option.prose.replace("`", ""))
            yield from _prose(f"Takes {slot.option.kind.says.replace('`', '')}.")
            yield f"#{slot.option.key} = {slot.option.kind.write(getattr(settings, slot.field))}"


def _prose(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)]


def page() -> str:
    """The text of ``docs/configuration.md``."""
    return _PAGE_HEAD + "".join(f"\n{line}\n" if line.startswith("#") else f"{line}\n" for line in _page_lines())


def _page_lines() -> Iterator[str]:
    for header, settings in _SECTIONS:
        kind = getattr(settings, "type", "")
        yield f"## `{header}`" + (f" of type `{kind}`" if kind and settings is not DEFAULT_INPUTS[0] else "")
        yield f"\n{_TITLES[type(settings)]}\n"
        yield "| key | default | takes | meaning |"
        yield "|---|---|---|---|"
        for slot in slots(type(settings)):
            option = slot.option
            value = option.kind.write(getattr(settings, slot.field))
            default = f"`{value}`"
            if slot.default is NODEFAULT and option.key != "dir":
                example = f"none, such as {default}"
                default = example if header == "[[output]]" else f"none; {default} where no input is given"
            elif slot.default is not NODEFAULT and isinstance(settings, JournaldInput):
                default = f"`{option.kind.write(slot.default)}`"
            yield f"| `{option.key}` | {default} | {option.kind.says} | {option.prose} |"


def main(arguments: list[str], root: Path = CHECKOUT) -> int:
    """Write both files in the checkout ``root``, or with ``--check`` compare them; returns the exit code."""
    stale = 0
    for path, text in ((root / "config/connlog.toml", shipped_file()), (root / "docs/configuration.md", page())):
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            sys.stderr.write(f"{path}: is stale; run 'make docs'\n")
            stale = 1
        else:
            path.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
