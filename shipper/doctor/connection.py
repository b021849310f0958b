"""The connection: each input and each output of a configuration tried for real, without sending an event unless asked to."""

from __future__ import annotations

from collections.abc import Iterator

from shipper.config import CoderApiInput, Config, FileInput, IndexOutput, JournaldInput, StdinInput
from shipper.doctor import coder, collector, folder, index, journald, permission
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, problem
from shipper.doctor.unit import ask
from shipper.errors import ServiceError
from shipper.inputs.journalctl import PROGRAM


def connections(case: Case, config: Config, *, send: bool = False) -> Iterator[Finding]:
    """What stands in the way of each, or that nothing does; ``send``: one event to each endpoint of Splunk too."""
    for number, source in enumerate(config.inputs, start=1):
        key = f"input[{number}]"
        if isinstance(source, FileInput):
            for place, pattern in enumerate(source.paths, start=1):
                yield from permission.of_pattern(f"{key}.paths[{place}]", source, pattern, case.account)
        elif isinstance(source, JournaldInput):
            yield from _journalctl(key)
            yield from journald.of_input(key, source, case.account)
        elif isinstance(source, StdinInput):
            yield note("stdin", key, "is what is piped into connlog run: there is nothing to try")
        elif isinstance(source, CoderApiInput):
            yield note("coder", key, f"asks {config.coder.url}, which is tried below")
    for output in config.outputs:
        if isinstance(output, IndexOutput):
            yield from folder.examine(case)
            yield from index.examine(case)
    yield from collector.of_outputs(config, case.unit, send=send)
    yield from coder.of_api(config, case.unit)


def _journalctl(key: str) -> Iterator[Finding]:
    try:
        said = ask(PROGRAM, "--version")
    except ServiceError as error:
        yield problem("journald", key, str(error), f"install {PROGRAM}, which comes with systemd")
        return
    if said.code:
        yield problem("journald", key, f"{PROGRAM} ends with {said.code}", f"run {PROGRAM} --version to see why")
