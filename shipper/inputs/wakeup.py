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

if TYPE_CHECKING:
    from shipper.inputs.notice import Notice

FOLDERS_MAX_COUNT = 64
"""Of more folders the rest is followed by the poll alone."""
log = logging.getLogger(__name__)


class WakeUp:
    """Calls ``wake``, from a thread of its own, when something in the folders of the patterns comes or goes."""

    def __init__(self, watches: Sequence[FileInput], wake: Callable[[], None]) -> None:
        self._notice: Notice | None = None
        try:
            self._start(watches, wake)
        except (OSError, RuntimeError) as error:
            # Out of inotify instances, watches or threads, or none on this system.
            log.info("no word from the system about files (%s); they are found by polling alone", error)

    def _start(self, watches: Sequence[FileInput], wake: Callable[[], None]) -> None:
        folders: dict[str, bool] = {}
        for watch in watches:
            for pattern in watch.paths:
                folder = base_folder(pattern)
                folders[folder] = folders.get(folder, False) or str(Path(pattern).parent) != folder
        # Imported here: who reads no files needs none of it.
        from shipper.inputs.notice import Notice

        there = [(folder, below) for folder, below in folders.items() if Path(folder).is_dir()]
        self._notice = Notice(there[:FOLDERS_MAX_COUNT], wake)

    def close(self) -> None:
        """Stop listening."""
        notice, self._notice = self._notice, None
        if notice is not None:
            notice.close()
