"""The document: the page ``docs/metrics.md``, made from the catalogue.

``python -m shipper.web.document`` writes it in a checkout; with ``--check`` it only compares, and ends
with 1 where it is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from shipper.journal.ledger import COUNTERS_MAX_COUNT, FORMER_SOURCES
from shipper.web.catalogue import METRICS
from shipper.web.label import LABEL_MAX_CHARACTERS, OTHERS
from shipper.web.metric import DRIFT_MAX_COUNT, SOURCES_MAX_COUNT

CHECKOUT = Path(__file__).resolve().parents[2]
_HEAD = f"""\
# Metrics and health

<!-- Made by `make docs` from shipper/web/catalogue.py; `make docs-check` compares. -->

The daemon answers on the address that `listen` in `[metrics]` names ([configuration](configuration.md)), and says at
its start where that is. A port that is in use is tried again every 5 seconds; meanwhile the daemon
runs on without metrics, and its log and `connlog status` say so.

| path | answer |
|---|---|
| `/metrics` | the metrics below, as Prometheus text |
| `/healthz` | 200 while every thread makes progress; 503 with one reason a line when one hangs and a restart is due |
| `/readyz` | 200 while events get through; 503 with one reason a line: journal or disk full, an output failing, no input that can be read, starting, stopping |

Any other path is 404, any other method than GET is 405. Nothing of a request comes back in an answer.

The metrics are read from the same value that `connlog status` shows, about once a second. Counters of entries begin
with the journal and survive a restart. For every source and at every moment:

```
connlog_entries_total = connlog_entries_stored_total + connlog_entries_duplicate_total
                      + connlog_entries_malformed_total + connlog_entries_not_ours_total
```

`source` is the path under which a file was first seen, or `quarantine` for what `connlog quarantine replay` read again.
The {COUNTERS_MAX_COUNT} sources whose counts changed last have counters of their own; those of all others were added to `{FORMER_SOURCES}`,
so that a sum over all sources never changes by it. A source that comes back begins at 0, which is a counter's reset.
Labels are printable and at most {LABEL_MAX_CHARACTERS} characters; beyond {SOURCES_MAX_COUNT} sources, or {DRIFT_MAX_COUNT} names of drift, the
rest is counted together as `{OTHERS}`.

"""
_TAIL = """\

Those of the process (`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds`,
`process_start_time_seconds` and others) are prometheus-client's own.
"""


def page() -> str:
    """The text of ``docs/metrics.md``."""
    return _HEAD + "\n".join(_table()) + "\n" + _TAIL


def _table() -> Iterator[str]:
    yield "| metric | kind | labels | meaning |"
    yield "|---|---|---|---|"
    for metric in METRICS:
        labels = ", ".join(f"`{name}`" for name in metric.labels)
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.prose} |"


def main(arguments: list[str], root: Path = CHECKOUT) -> int:
    """Write the page in the checkout ``root``, or with ``--check`` compare it; returns the exit code."""
    path, text = root / "docs/metrics.md", page()
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"{path}: is stale; run 'make docs'\n")
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
