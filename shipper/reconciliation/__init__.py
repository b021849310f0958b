"""Reconciliation: the log held against Coder's own record of the same connections."""

from __future__ import annotations
