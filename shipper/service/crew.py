"""The crew: the threads that read the inputs and feed the outputs; starts them, swaps those whose settings changed, and
ends them in order.

A swap never waits: what enters begins when what it replaces has ended, which ``tend`` looks after.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from shipper.config import Config, IndexOutput, Output
from shipper.errors import ConnlogError, StateDamaged, StateNewer
from shipper.journal import Journal
from shipper.service.dispatch import Dispatch
from shipper.service.intake import open_readings
from shipper.service.outlet import Want, around, open_output, unusable, write_for_outputs
from shipper.service.pulse import Pulse
from shipper.service.reading import Reading

if TYPE_CHECKING:
    from shipper.service.sending import Sending

DRAIN_SECONDS = 10.0
"""How long outputs may take, after the last line was read, to deliver what is in the journal."""
LAST_STEP_SECONDS = 10.0
"""How long one may take to end after that: it may stand in the middle of a delivery."""
TICK_SECONDS = 1.0
log = logging.getLogger(__name__)


class Reader(Struct, frozen=True, eq=False):
    """An input at work."""

    part: Reading
    thread: threading.Thread


class Sender(Struct, frozen=True, eq=False):
    """An output at work, the settings that it was opened with, and what else it was opened with."""

    part: Sending | Dispatch
    settings: Output
    around: object
    thread: threading.Thread


class Crew:
    """All inputs and outputs of ``config``, opened, not started. ``failed`` is called with the reason when a thread
    can't go on, ``want`` of ids that have no name. Raises ConnlogError, and then nothing is open."""

    def __init__(
        self, config: Config, journal: Journal, host: str, failed: Callable[[str], None], want: Want | None = None
    ) -> None:
        self._journal = journal
        self._want = want
        self._state = config.state
        self._host = host
        self._failed = failed
        self._leaving: list[Reader | Sender] = []
        self._waiting: list[tuple[str, Sequence[Reader | Sender], Callable[[], None]]] = []
        self._senders: list[Sender] = []
        self._asks = bool(config.coder.url)
        """Whether somebody can be asked for names."""
        write_for_outputs(journal, config)
        with ExitStack() as undo:
            for output in config.outputs:
                sender = self._sender(output)
                self._senders.append(sender)
                undo.callback(sender.part.close)
            self._keep_outputs()
            self._readers = self._open_readers(config)
            undo.pop_all()

    @property
    def readings(self) -> list[Reading]:
        """Every input."""
        return [reader.part for reader in self._readers]

    @property
    def sendings(self) -> list[Sending | Dispatch]:
        """Every output."""
        return [sender.part for sender in self._senders]

    @property
    def pulses(self) -> list[Pulse]:
        """The sign of life of every thread, of those that are to end too."""
        return [member.part.pulse for member in (*self._readers, *self._senders, *self._leaving)]

    @property
    def at_end(self) -> bool:
        """Whether there are inputs and every one of them has ended."""
        return bool(self._readers) and not self._waiting and all(reading.ended for reading in self.readings)

    def start(self) -> None:
        """Let all work begin."""
        for thread in [one.thread for one in self._readers] + [one.thread for one in self._senders]:
            thread.start()

    # ---- reload --------------------------------------------------------------------------------

    def obstacles(self, config: Config) -> list[str]:
        """Why ``config`` can't take the place of what works now; none, and ``swap`` may be called."""
        return unusable(config.outputs) + [
            f"the input {reader.part.name} can't be opened a second time; restart to change it"
            for reader in self._gone_readers(self._open_readers(config))
            if not reader.part.lasting and not reader.part.ended
        ]

    def swap(self, config: Config) -> list[str]:
        """Let go what is not in ``config`` or is there with other settings, and take its place by what is; returns what
        changes, in words."""
        # What an earlier swap still waits for is in this configuration or is not wanted any more.
        self._waiting.clear()
        self._state = config.state
        fresh = self._open_readers(config)
        gone = self._gone_readers(fresh)
        kept = [reader for reader in self._readers if reader not in gone]
        entering = [one for one in fresh if not any(_same(one.part, other.part) for other in kept)]
        told = [f"input {reader.part.name}" for reader in (*gone, *entering)]
        for reader in gone:
            reader.part.stop()
        self._readers = kept
        self._leaving += gone
        # Those of an earlier swap too.
        leaving_readers = [member for member in self._leaving if isinstance(member, Reader)]
        for reader in entering:
            self._waiting.append((f"input {reader.part.name}", leaving_readers, partial(self._enter, reader)))

        settings = list(config.outputs)
        stopped: list[Sender] = []
        asks, self._asks = self._asks, bool(config.coder.url)
        write_for_outputs(self._journal, config)
        for sender in list(self._senders):
            same = sender.settings in settings and sender.around == around(sender.settings, config.state)
            if same and (asks == self._asks or isinstance(sender.settings, IndexOutput)):
                settings.remove(sender.settings)
            else:
                stopped.append(sender)
                self._senders.remove(sender)
                sender.part.stop(0.0)
        self._leaving += stopped
        leaving = [member for member in self._leaving if isinstance(member, Sender)]
        told += [f"output {sender.part.name}" for sender in stopped]
        told += [f"output {output.name}" for output in settings]
        for output in settings:
            self._waiting.append((f"output {output.name}", leaving, partial(self._enter_output, output)))
        if leaving or settings:
            self._waiting.append(("outputs", leaving, self._keep_outputs))
        self.tend()
        return list(dict.fromkeys(told))

    def tend(self) -> list[str]:
        """Begin what waited for another to end; returns what still waits. To be called now and then."""
        self._leaving = [member for member in self._leaving if member.thread.is_alive()]
        waiting, self._waiting = self._waiting, []
        for at, (name, before, enter) in enumerate(waiting):
            if any(member.thread.is_alive() for member in before):
                self._waiting.append(waiting[at])
                continue
            try:
                enter()
            except ConnlogError as error:
                log.error("%s can't be opened and is tried again: %s", name, error)  # noqa: TRY400 - no fault of ours
                self._waiting += waiting[at:]
                break
        return [name for name, _, _ in self._waiting]

    def _gone_readers(self, fresh: Sequence[Reader]) -> list[Reader]:
        return [reader for reader in self._readers if not any(_same(reader.part, other.part) for other in fresh)]

    def _enter(self, reader: Reader) -> None:
        self._readers.append(reader)
        reader.thread.start()

    def _enter_output(self, settings: Output) -> None:
        sender = self._sender(settings)
        self._senders.append(sender)
        sender.thread.start()

    # ---- the end -------------------------------------------------------------------------------

    def end(self, tick: Callable[[], None]) -> None:
        """Read no more, deliver what is read for a while, and end; ``tick`` is called about each second meanwhile."""
        self._waiting.clear()
        for reader in self._readers:
            reader.part.stop()
        leaving = [member for member in self._leaving if isinstance(member, Reader)]
        _await([member.thread for member in (*self._readers, *leaving)], float("inf"), tick)
        for sender in self._senders:
            sender.part.stop(DRAIN_SECONDS)
        deadline = time.monotonic() + DRAIN_SECONDS + LAST_STEP_SECONDS
        _await([member.thread for member in (*self._senders, *self._leaving)], deadline, tick)

    # ---- parts ---------------------------------------------------------------------------------

    def _open_readers(self, config: Config) -> list[Reader]:
        """Nothing is opened before a thread runs."""
        readings = open_readings(config, self._journal, self._host, self._appended)
        return [Reader(reading, self._reader_thread(reading)) for reading in readings]

    def _sender(self, output: Output) -> Sender:
        beside = around(output, self._state)
        sending = open_output(output, self._journal, self._state, self._want if self._asks else None)
        return Sender(sending, output, beside, self._thread(f"output-{sending.name}", sending.run))

    def _keep_outputs(self) -> None:
        for name in self._journal.keep_outputs({sending.name for sending in self.sendings}):
            log.warning("output %s is no longer configured; nothing is kept for it any more", name)

    def _appended(self) -> None:
        for sending in self.sendings:
            sending.wake()

    def _thread(self, name: str, run: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                run()
            except ConnlogError as error:
                self._failed(str(error))
            except Exception as error:
                # The boundary of a worker: a thread that died unseen would leave a daemon that does nothing.
                log.exception("the thread %s failed", name)
                self._failed(
                    f"the thread {name} failed: {type(error).__name__}; this is a fault of connlog, please report it"
                )

        return threading.Thread(target=guarded, name=name, daemon=True)

    def _reader_thread(self, reading: Reading) -> threading.Thread:
        """The thread of an input: after a failure of its own it goes on from what is in the journal, and the other
        inputs have not stopped."""

        def run() -> None:
            while True:
                try:
                    reading.run()
                except (StateDamaged, StateNewer):
                    raise
                except Exception as error:
                    if not reading.lasting:
                        raise
                    # The boundary of a worker: whatever it was must not end what the others do.
                    log.exception("the input %s failed", reading.name)
                    reading.failed(str(error) if isinstance(error, ConnlogError) else type(error).__name__)
                    if not reading.stopping:
                        continue
                return

        return self._thread(reading.name, run)


def _same(one: Reading, other: Reading) -> bool:
    return one.name == other.name and one.settings is not None and one.settings == other.settings


def _await(threads: Sequence[threading.Thread], deadline: float, tick: Callable[[], None]) -> None:
    """Wait until all have ended, or until ``deadline``, in monotonic seconds."""
    due = time.monotonic() + TICK_SECONDS
    for thread in threads:
        while thread.is_alive() and (now := time.monotonic()) < deadline:
            if now >= due:
                tick()
                due = now + TICK_SECONDS
            thread.join(min(due, deadline) - now)
