"""The daemon: holds a state folder, reads all inputs into the journal and delivers it to all outputs, until told to stop."""

from __future__ import annotations

import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from shipper import __version__
from shipper.config import Config
from shipper.errors import ConnlogError, StateDamaged, StateError, StateFull, StateNewer
from shipper.journal import Journal
from shipper.service.intake import open_readings
from shipper.service.lock import FULL, StateLock
from shipper.service.outlet import open_delivery
from shipper.service.reading import Reading
from shipper.service.sending import Sending
from shipper.service.stop import Stop
from shipper.status import FILES_MAX_COUNT, GAPS_MAX_COUNT, Drift, OutputStatus, Status, StatusFile, waiting_status
from shipper.timestamp import from_ns

if TYPE_CHECKING:
    from shipper.web.server import Endpoint

STATUS_SECONDS = 1.0
AT_END_SECONDS = 0.1
"""How often it is asked whether the outputs have everything, once every input has ended."""
DRAIN_SECONDS = 10.0
"""How long outputs may take, after the last line was read, to deliver what is in the journal."""
OPEN_FILES_MAX_COUNT = 65_536
log = logging.getLogger(__name__)


class Daemon:
    """One run of the service with ``config`` until ``stop`` is asked for; holds the state folder from the first moment.
    Raises StateFull where there is no room for that, and ConnlogError where it can't start."""

    def __init__(self, config: Config, stop: Stop) -> None:
        self._config = config
        self._folder = config.state.dir
        self._host = socket.gethostname()
        self._started = from_ns(time.time_ns())
        self._state = "reading"
        self._stop = stop
        self._failed: str | None = None
        self._endpoint: Endpoint | None = None
        self._make_folder()
        self._status_file = StatusFile(self._folder)
        self._lock = StateLock(self._folder)

    def run(self) -> int:
        """Work until the stop, then drain; returns the exit code. On a full disk the start waits for room."""
        try:
            while not self._stop.asked:
                try:
                    self._open()
                except StateFull as error:
                    log.warning("the start waits: %s", error)
                    self._write_file(waiting_status(__version__, self._started, str(error)))
                    self._stop.wait(STATUS_SECONDS)
                else:
                    return self._work()
        finally:
            self._lock.close()
        log.info("stopped before anything was read")
        return 0

    def _open(self) -> None:
        """Open all parts, or none and raise."""
        config = self._config
        with ExitStack() as undo:
            self._journal = Journal(
                self._folder / "journal.db",
                max_bytes=config.state.journal_max_bytes,
                quarantine_max_bytes=config.state.quarantine_max_bytes,
            )
            undo.callback(self._journal.close)
            deliveries = []
            for output in config.outputs:
                deliveries.append(open_delivery(output, self._journal, self._folder))
                undo.callback(deliveries[-1].close)
            for name in self._journal.keep_outputs({delivery.name for delivery in deliveries}):
                log.warning("output %s is no longer configured; nothing is kept for it any more", name)
            self._sendings = [Sending(delivery) for delivery in deliveries]
            self._readings = open_readings(config, self._journal, self._host, self._appended)
            undo.pop_all()

    def _work(self) -> int:
        readers = [self._reader(reading) for reading in self._readings]
        senders = [self._thread(f"output-{sending.name}", sending.run) for sending in self._sendings]
        self._endpoint = self._open_endpoint()
        log.info("connlog %s reads into %s (process %d)", __version__, self._folder, os.getpid())
        try:
            for thread in (*readers, *senders):
                thread.start()
            self._write_status()
            while not self._stop.wait(STATUS_SECONDS if not self._at_end() else AT_END_SECONDS):
                self._write_status()
                if self._at_end() and not any(output.pending for output in self._journal.outputs()):
                    log.info("every input has ended, and every output has what was read")
                    break
            self._state = "stopping"
            self._write_status()
            for reading in self._readings:
                reading.stop()
            for reader in readers:
                reader.join()
            for sending in self._sendings:
                sending.stop(DRAIN_SECONDS)
            for thread in senders:
                thread.join(DRAIN_SECONDS)
            self._state = "stopped"
            self._write_status()
            self._journal.close()
        finally:
            if self._endpoint is not None:
                self._endpoint.close()
        if self._failed is not None:
            log.error("stopped: %s", self._failed)
            return ConnlogError.exit_code
        log.info("stopped")
        return 0

    # ---- parts ---------------------------------------------------------------------------------

    def _make_folder(self) -> None:
        os.umask(0o027)
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise StateFull(f"{self._folder}: no room on the disk; make room, and it goes on by itself") from error
            raise StateError(f"{self._folder}: can't be made: {error.strerror}; choose another state.dir") from error
        # Every followed file is held open, so that its rotation loses nothing.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES_MAX_COUNT if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX_COUNT)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def _open_endpoint(self) -> Endpoint | None:
        listen = self._config.metrics.listen
        if not listen:
            return None
        # Imported here: it takes some megabytes and milliseconds that only who listens should pay for.
        from shipper.web.server import Endpoint

        try:
            endpoint = Endpoint(listen)
        except OSError as error:
            log.warning(
                "metrics.listen: can't listen on %s: %s; running without metrics: choose another address or port, "
                '"127.0.0.1:0" for any, and start again',
                listen,
                error.strerror or error,
            )
            return None
        endpoint.start()
        log.info("metrics are on %s/metrics, health on /healthz and /readyz", endpoint.url)
        return endpoint

    def _thread(self, name: str, run: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                run()
            except ConnlogError as error:
                self._fail(str(error))
            except Exception as error:
                # The boundary of a worker: a thread that died unseen would leave a daemon that does nothing.
                log.exception("the thread %s failed", name)
                self._fail(f"the thread {name} failed: {error!r}; this is a fault of connlog, please report it")

        return threading.Thread(target=guarded, name=name, daemon=True)

    def _fail(self, message: str) -> None:
        self._failed = message
        self._stop.ask()

    def _reader(self, reading: Reading) -> threading.Thread:
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
                    reading.failed(repr(error))
                    if not reading.stopping:
                        continue
                return

        return self._thread(reading.name, run)

    def _at_end(self) -> bool:
        """Whether there are inputs and every one of them has ended."""
        return bool(self._readings) and all(reading.ended for reading in self._readings)

    def _appended(self) -> None:
        for sending in self._sendings:
            sending.wake()

    # ---- status --------------------------------------------------------------------------------

    def _write_status(self) -> None:
        try:
            status = self._status()
        except StateError as error:
            log.warning("the status can't be made: %s", error)
            return
        if self._endpoint is not None:
            self._endpoint.publish(status)
        self._write_file(status)

    def _write_file(self, status: Status) -> None:
        try:
            self._status_file.write(status)
        except StateError as error:
            log.warning("%s", error)

    def _status(self) -> Status:
        views = [reading.view for reading in self._readings]
        files = [file for view in views for file in view.files]
        troubles = {name: trouble for view in views for name, trouble in view.troubles.items()}
        worst = sorted(files, key=lambda file: (-file.lag_bytes, file.path))[:FILES_MAX_COUNT]
        gaps_count, gaps = self._journal.gaps(GAPS_MAX_COUNT)
        paused = next((reading.paused for reading in self._readings if reading.paused is not None), None)
        now = time.monotonic()
        pulses = [*(reading.pulse for reading in self._readings), *(sending.pulse for sending in self._sendings)]
        return Status(
            version=__version__,
            pid=os.getpid(),
            started=self._started,
            updated=from_ns(time.time_ns()),
            state="paused" if paused and self._state == "reading" else self._state,
            paused=paused,
            files=worst,
            files_count=len(files),
            lag_bytes=sum(file.lag_bytes for file in files),
            feeds=[feed for view in views for feed in view.feeds][:FILES_MAX_COUNT],
            troubles=dict(sorted(troubles.items())[:FILES_MAX_COUNT]),
            sources=self._journal.counters(),
            journal=self._journal.depth(),
            journal_max_bytes=self._config.state.journal_max_bytes,
            outputs=self._output_states(),
            gaps_count=gaps_count,
            gaps=gaps,
            quarantine=self._journal.quarantine_size(),
            quarantine_max_bytes=self._config.state.quarantine_max_bytes,
            drift=[Drift(name, from_ns(first), count) for name, first, count in self._journal.drift()],
            stalled=[pulse.name for pulse in pulses if pulse.stalled(now)],
            metrics=None if self._endpoint is None else f"{self._endpoint.url}/metrics",
        )

    def _output_states(self) -> list[OutputStatus]:
        states = {state.name: state for state in self._journal.outputs()}
        found: list[OutputStatus] = []
        for sending in self._sendings:
            state = states[sending.name]
            success_ns = sending.last_success_ns or state.advanced_ns
            success = from_ns(success_ns) if success_ns is not None else None
            found.append(
                OutputStatus(
                    sending.name, state.cursor, state.pending, success, sending.last_error, sending.errors_count
                )
            )
        return found


def run_daemon(config: Config, stop: Stop) -> int:
    """Run the service with ``config`` until ``stop`` is asked for; returns the exit code. Raises ConnlogError.

    On a full disk it waits for room: nothing is lost meanwhile that the log's own files keep.
    """
    while not stop.asked:
        try:
            daemon = Daemon(config, stop)
        except StateFull as error:
            log.warning("the start waits: %s", error)
            stop.wait(STATUS_SECONDS)
        else:
            return daemon.run()
    log.info("stopped before anything was read")
    return 0


__all__ = ["Daemon", "run_daemon"]
