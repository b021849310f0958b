"""The directory: who is behind the ids of the log, with the time each name was seen, so that one is as of the event."""

from __future__ import annotations
