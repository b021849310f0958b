"""Values: what stands behind a key, read by the key's kind. Errors are ValueError with Coder's words."""

from __future__ import annotations

import re
from typing import Protocol

from shipper.query.filter import Comparison

REGEX_MEMORY_BYTES = 8 << 20
_MILLISECOND_NS = 1_000_000


class Regex(Protocol):
    """A compiled regular expression; ``search`` gives something true where it is found."""

    def search(self, text: str) -> object: ...


_plain_uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID = rf"{_plain_uuid}|\{{{_plain_uuid}\}}|urn:uuid:{_plain_uuid}|[0-9a-f]{{32}}"


def _comparison(text: str) -> re.Match[str] | None:
    return re.fullmatch(r"(>=|<=|>|<|=)?\s*(.+)", text, re.DOTALL)


def read_uuid(text: str) -> str | None:
    """Canonical text of a UUID in one of the forms Go's parser takes (plain, braced, urn, 32 digits), or None."""
    import uuid

    return str(uuid.UUID(text)) if re.fullmatch(_UUID, text, re.ASCII | re.IGNORECASE) else None


def read_network(text: str) -> str:
    """CIDR text of an address or network; host bits are allowed, IPv4 in IPv6 is IPv4."""
    import ipaddress

    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is not an IP address or network; write 10.1.2.3, 10.0.0.0/8 or fd7a::/48') from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return f"{mapped}/{network.prefixlen - 96}"
    return str(network)


def read_code(text: str) -> Comparison:
    """A comparison with a whole number, such as ``404`` or ``>=400``."""
    found = _comparison(text)
    if found is None or not re.fullmatch(r"-?\d{1,10}", found[2], re.ASCII):
        raise ValueError(f'"{text}" is not a whole number; write code:404 or code:>=400')
    return Comparison(found[1] or "=", int(found[2]))


def read_duration(text: str) -> Comparison:
    """A comparison with a length of time, such as ``>1h``; the value is in nanoseconds."""
    found = _comparison(text)
    if found is None or found[1] is None:
        raise ValueError(f'"{text}" is not a comparison; write duration:>1h or duration:<=90s')
    from shipper.config.quantity import parse_duration

    try:
        return Comparison(found[1], parse_duration(found[2]) * _MILLISECOND_NS)
    except ValueError as error:
        raise ValueError(f'"{found[2]}" {error}') from None


def compile_regex(text: str, *, in_lines: bool = False) -> Regex:
    """A regular expression that runs in linear time; raises ValueError with what is wrong with it. ``in_lines``: no match
    holds a line end."""
    import re2  # here, since few questions hold one

    options = re2.Options()
    options.max_mem = REGEX_MEMORY_BYTES
    options.never_capture = True  # what groups hold costs a second look
    options.never_nl = in_lines
    options.log_errors = False
    try:
        compiled: Regex = re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from None
    return compiled
