"""The maker: gives each followed file what turns its bytes into records, from any place in it on."""

from __future__ import annotations

from typing import Protocol

from shipper.config import FileInput
from shipper.extraction import Yield


class Extractor(Protocol):
    """What turns the bytes of one stream into records; see ``shipper.extraction``."""

    @property
    def offset(self) -> int: ...
    @property
    def line(self) -> int: ...
    @property
    def carry(self) -> bytes: ...
    @property
    def waiting(self) -> bool: ...
    def feed(self, data: bytes, *, again: bool = False) -> Yield: ...
    def flush(self, final: bool = False) -> Yield: ...


class MakeExtractor(Protocol):
    """Builds an extractor for one file from what a position holds."""

    def __call__(self, path: str, watch: FileInput, offset: int, line: int, carry: bytes) -> Extractor: ...
