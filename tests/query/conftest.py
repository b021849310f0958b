"""Indexes are asked by the thousand here: in memory."""

from tests.memory import tmp_path, tmp_path_factory

__all__ = ["tmp_path", "tmp_path_factory"]
