"""Coder's REST API as connlog asks it: a client that never waits without end, and the answers as plain values."""

from __future__ import annotations
