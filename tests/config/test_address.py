"""An address to listen on is a host and a port, or is refused with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config.address import split_address
from shipper.config.load import parse_config
from shipper.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
    ],
)
def test_addresses_are_read(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize(
    "text", ["9464", "localhost", ":9464", "::1:9464", "a:65536", "a:-1", "a:x", "a b:1", "a:²", "[]:1"]
)
def test_what_is_none_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.listen: .*write"):
        parse_config(f'[metrics]\nlisten = "{text}"\n', Path("/etc/c.toml"), {"HOME": "/root"})


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        host, port = split_address(text)
    except ValueError:
        return
    assert host
    assert 0 <= port <= 65535


def test_an_empty_text_turns_it_off() -> None:
    config = parse_config('[metrics]\nlisten = ""\n', Path("/etc/c.toml"), {"HOME": "/root"})
    assert config.metrics.listen == ""
