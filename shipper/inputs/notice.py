"""The notice: the kernel's word (inotify) that something in some folders came, went or was renamed.

Asked for by the C library's own functions, as inotify(7) has them: a library for it, which can do the same on six
systems, takes longer to load than the daemon's own modules.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import select
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

WATCHES_MAX_COUNT = 4096
"""Folders that are watched, those below others too; of more the rest is left out."""
QUIET_SECONDS = 0.1
"""The pause after a call: of a thousand files that come at once one word is enough."""
JOIN_SECONDS = 5.0
_CREATE, _DELETE, _MOVED_FROM, _MOVED_TO = 0x100, 0x200, 0x40, 0x80
_ONLY_FOLDERS, _IS_FOLDER, _IGNORED = 0x01000000, 0x40000000, 0x8000
_WANTED = _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO | _ONLY_FOLDERS
_READ_BYTES = 64 << 10
_event = struct.Struct("=iIII")
log = logging.getLogger(__name__)


class Notice:
    """Calls ``tell`` from a thread of its own when something comes or goes in ``folders``, each with whether those below
    it are meant too. Folders that are not there are left out. Raises OSError where the system has no such word."""

    def __init__(self, folders: Iterable[tuple[str, bool]], tell: Callable[[], None]) -> None:
        self._tell = tell
        self._library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._library, "inotify_init1"):
            raise OSError(errno.ENOSYS, "this system has no inotify")
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._queue = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._queue < 0:
            error = _error()
            os.close(self._end)
            raise error
        self._watched: dict[int, str | None] = {}
        """Watches, and of those whose new folders are watched too the paths."""
        self._thread = threading.Thread(target=self._listen, name="notice", daemon=True)
        try:
            for folder, below in folders:
                self._watch(folder, below)
            self._thread.start()
        except BaseException:
            self._give_back()
            raise

    def close(self) -> None:
        """Stop listening."""
        os.eventfd_write(self._end, 1)
        self._thread.join(JOIN_SECONDS)
        if not self._thread.is_alive():
            self._give_back()

    def _give_back(self) -> None:
        os.close(self._queue)
        os.close(self._end)

    def _watch(self, folder: str, below: bool) -> None:
        """Have a folder watched, and with ``below`` all in it. Raises OSError where no more can be."""
        waiting = [folder]
        while waiting and len(self._watched) < WATCHES_MAX_COUNT:
            path = waiting.pop()
            number = self._library.inotify_add_watch(self._queue, os.fsencode(path), _WANTED)
            if number < 0:
                error = _error()
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP):
                    continue  # gone meanwhile, or not for us: as the poll will find
                raise error
            self._watched[number] = path if below else self._watched.get(number)
            if below:
                with suppress(OSError), os.scandir(path) as found:
                    waiting += [one.path for one in found if one.is_dir(follow_symlinks=False)]

    def _listen(self) -> None:
        waiting = select.poll()
        waiting.register(self._queue, select.POLLIN)
        waiting.register(self._end, select.POLLIN)
        pausing = select.poll()
        pausing.register(self._end, select.POLLIN)
        while True:
            ready = dict(waiting.poll())
            if self._end in ready:
                return
            try:
                self._take(os.read(self._queue, _READ_BYTES))
            except OSError as error:
                # Of no use any more: what it would have told, the poll finds.
                log.info("no further word from the system about files (%s); they are found by polling alone", error)
                waiting.unregister(self._queue)
            self._tell()
            if pausing.poll(QUIET_SECONDS * 1000):
                return

    def _take(self, events: bytes) -> None:
        """Watch the folders that came below others. Raises OSError where no more can be watched."""
        at = 0
        while at + _event.size <= len(events):
            number, mask, _, length = _event.unpack_from(events, at)
            name = events[at + _event.size : at + _event.size + length].rstrip(b"\0")
            at += _event.size + length
            if mask & _IGNORED:
                self._watched.pop(number, None)  # the folder is gone
            above = self._watched.get(number)
            if above is not None and mask & _IS_FOLDER and mask & (_CREATE | _MOVED_TO):
                self._watch(os.path.join(above, os.fsdecode(name)), below=True)  # noqa: PTH118 (names that are no text too)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
