"""The query language: a text as the dashboard's filter takes it, and more, becomes one ``Filter``."""

from __future__ import annotations

from shipper.query.filter import Filter
from shipper.query.moment import parse_moment
from shipper.query.parse import KEYS, parse_query

__all__ = ["KEYS", "Filter", "parse_moment", "parse_query"]
