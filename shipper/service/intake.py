"""The intake: the inputs of a configuration, each opened as a reading into the journal."""

from __future__ import annotations

from collections.abc import Callable

from shipper.config import Config, FileInput
from shipper.extraction import Extractor
from shipper.inputs.files import Files
from shipper.inputs.input import Input
from shipper.inputs.tailer import Tailer
from shipper.journal import Journal
from shipper.record import Source
from shipper.service.reading import Reading


def open_readings(config: Config, journal: Journal, host: str, appended: Callable[[], None]) -> list[Reading]:
    """A reading for each input, all files together as one. ``appended`` is called when outputs have something to do."""
    watches = list(config.inputs)
    readings: list[Reading] = []
    if watches:

        def make_files() -> Input:
            make_extractor = FileExtractors(host)
            tailer = Tailer(watches, journal.positions(), make_extractor, fresh=journal.fresh, host=host)
            return Files(tailer, watches)

        readings.append(Reading("files", make_files, journal, appended, settings=watches))
    return readings


class FileExtractors:
    """Makes the extractor of a file on the machine ``host``."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __call__(self, path: str, watch: FileInput, offset: int, line: int, carry: bytes) -> Extractor:
        return Extractor(
            Source(host=self._host, input="file", path=path),
            format=watch.format,
            wrapper=watch.wrapper,
            tz=watch.tz,
            line_max_bytes=watch.line_max_bytes,
            offset=offset,
            line=line,
            carry=carry,
        )
