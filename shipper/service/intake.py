"""The intake: the inputs of a configuration, each opened as a reading into the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from shipper.config import CoderApiInput, Config, FileInput, JournaldInput, StdinInput
from shipper.extraction import Extractor
from shipper.inputs.container import LINKS
from shipper.inputs.files import Files
from shipper.inputs.input import Input
from shipper.inputs.tailer import Tailer
from shipper.journal import Baler, Journal
from shipper.record import Source
from shipper.service.reading import Reading


def open_readings(config: Config, journal: Journal, host: str, appended: Callable[[], None]) -> list[Reading]:
    """A reading for each input, all files together as one. ``appended`` is called when outputs have something to do."""
    watches = [watch for watch in config.inputs if isinstance(watch, FileInput)]
    readings: list[Reading] = []
    if watches:
        readings.append(
            Reading("files", partial(_make_files, watches, journal, host), journal, appended, settings=watches)
        )
    journals = [watch for watch in config.inputs if isinstance(watch, JournaldInput)]
    for number, followed in enumerate(journals, start=1):
        name = "journald" if len(journals) == 1 else f"journald-{number}"
        readings.append(
            Reading(name, partial(_make_journald, followed, journal, host), journal, appended, settings=followed)
        )
    for piped in config.inputs:
        if isinstance(piped, StdinInput):
            from shipper.inputs.stdin import SOURCE  # here, as below: each input needs its own modules alone

            make_stdin = partial(_make_stdin, piped, journal, host)
            readings.append(Reading(SOURCE, make_stdin, journal, appended, lasting=False, settings=piped))
    for polled in config.inputs:
        if isinstance(polled, CoderApiInput):
            make_api = partial(_make_coder_api, polled, config, journal, host)
            readings.append(Reading("coder_api", make_api, journal, appended, settings=(polled, config.coder)))
    return readings


def _make_files(watches: Sequence[FileInput], journal: Journal, host: str) -> Input:
    extractors = FileExtractors(host, originals=lambda: journal.keeps_originals)
    baler = Baler(lambda: journal.wrapping)
    tailer = Tailer(watches, journal.positions(), extractors, fresh=journal.fresh, host=host, baler=baler)
    return Files(tailer, watches)


def _make_journald(watch: JournaldInput, journal: Journal, host: str) -> Input:
    from shipper.inputs.journald import Journald

    return Journald(watch, journal.feeds(), journal.counters().keys(), host)


def _make_stdin(watch: StdinInput, journal: Journal, host: str) -> Input:
    from shipper.inputs.stdin import KEY, Stdin

    return Stdin(watch, journal.feeds().get(KEY), host)


def _make_coder_api(watch: CoderApiInput, config: Config, journal: Journal, host: str) -> Input:
    # Imported here: requests is slow to import, and only who asks Coder needs it.
    from shipper.reconciliation.polling import KEY, CoderApi

    def behind() -> bool:
        return any(state.name == "index" and state.pending for state in journal.outputs())

    path = config.state.dir / "index.db"
    return CoderApi(watch, config.coder, path, journal.feeds().get(KEY), host, behind)


class FileExtractors:
    """Makes the extractor of a file on the machine ``host``; ``originals`` as there."""

    def __init__(self, host: str, *, originals: Callable[[], bool] | None = None) -> None:
        self._host = host
        self._originals = originals

    def __call__(self, path: str, watch: FileInput, offset: int, line: int, carry: bytes) -> Extractor:
        return Extractor(
            Source(host=self._host, input="file", path=path, meta=LINKS.meta(path)),
            format=watch.format,
            wrapper=watch.wrapper,
            tz=watch.tz,
            line_max_bytes=watch.line_max_bytes,
            offset=offset,
            line=line,
            carry=carry,
            originals=self._originals,
        )
