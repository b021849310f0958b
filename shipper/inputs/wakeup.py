"""The wake-up: the system's word that files came, went or were renamed. A hint only, the poll is the truth.

Growth is not asked for: at hundreds of writes a second that alone would cost a part of a core.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shipper.config import FileInput
from shipper.inputs.discovery import base_folder
from shipper.standin import load_lean

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

FOLDERS_MAX_COUNT = 64
"""Of more folders the rest is followed by the poll alone."""
log = logging.getLogger(__name__)


class WakeUp:
    """Calls ``wake``, from a thread of its own, when something in the folders of the patterns comes or goes."""

    def __init__(self, watches: Sequence[FileInput], wake: Callable[[], None]) -> None:
        self._observer: BaseObserver | None = None
        try:
            self._start(watches, wake)
        except (OSError, ImportError, RuntimeError) as error:
            # Out of inotify instances or watches, or none on this system.
            log.info("no word from the system about files (%s); they are found by polling alone", error)
            self.close()

    def _start(self, watches: Sequence[FileInput], wake: Callable[[], None]) -> None:
        load_lean("watchdog.events", "watchdog.observers")
        from watchdog.events import (
            FileCreatedEvent,
            FileDeletedEvent,
            FileMovedEvent,
            FileSystemEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            """Wakes on any event."""

            def on_any_event(self, event: FileSystemEvent) -> None:
                wake()

        observer = Observer()
        self._observer = observer
        folders: dict[str, bool] = {}
        for watch in watches:
            for pattern in watch.paths:
                folder = base_folder(pattern)
                folders[folder] = folders.get(folder, False) or str(Path(pattern).parent) != folder
        kinds = [FileCreatedEvent, FileDeletedEvent, FileMovedEvent]
        for folder, recursive in list(folders.items())[:FOLDERS_MAX_COUNT]:
            if Path(folder).is_dir():
                observer.schedule(Handler(), folder, recursive=recursive, event_filter=list(kinds))
        observer.daemon = True
        observer.start()

    def close(self) -> None:
        """Stop listening."""
        observer, self._observer = self._observer, None
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join(timeout=5)
