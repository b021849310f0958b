"""Secrets: read from a file, a credential or the environment, and never shown, whatever is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipper.config.address import read_web_address
from shipper.config.load import parse_config
from shipper.config.secret import SECRET_MAX_BYTES, exposed, find_secret, read_secret
from shipper.errors import ConfigError, SecretError

SECRET = "abcdefghij-klmnopqrstuvwxyz01"


def test_the_first_line_is_the_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"  {SECRET}\r\nanother line\n")
    assert read_secret(path) == SECRET


@pytest.mark.parametrize(
    "content",
    [b"", b"\n" + SECRET.encode(), SECRET.encode() + b" x", "geheim\u00fc".encode(), b"\xff" * 9, b"a\x1bb",
     SECRET.encode() * SECRET_MAX_BYTES],
)  # fmt: skip
def test_a_bad_file_is_refused_by_its_path_without_what_is_in_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SecretError) as caught:
        read_secret(path)
    assert str(path) in str(caught.value)
    assert SECRET[:8] not in str(caught.value)


def test_a_missing_file_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="write the token into this file"):
        read_secret(tmp_path / "none")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A named pipe that nobody writes to would else hold the start of the daemon for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link", "folder"):
        with pytest.raises(SecretError, match=f"{name}: is no regular file; put the token into one"):
            read_secret(tmp_path / name)
    with pytest.raises(SecretError, match="is no regular file"):
        read_secret(Path("/dev/zero"))


def test_the_file_comes_before_the_credential_and_that_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "coder-token").write_text("credential-token")
    own = tmp_path / "own"
    own.write_text(SECRET)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "CODER_SESSION_TOKEN": "variable-token"}
    assert find_secret(own, "coder-token", "CODER_SESSION_TOKEN", environ)[0] == SECRET
    assert find_secret(None, "coder-token", "CODER_SESSION_TOKEN", environ)[0] == "credential-token"
    assert find_secret(None, "other", "CODER_SESSION_TOKEN", environ) == ("variable-token", "$CODER_SESSION_TOKEN")
    with pytest.raises(SecretError, match="hand over the credential other"):
        find_secret(None, "other", "X", environ)
    with pytest.raises(SecretError, match=r"name its file \(--auth-token-file\)"):
        find_secret(None, "other", "X", environ, option="--auth-token-file")
    with pytest.raises(SecretError) as caught:
        find_secret(None, "other", "X", {"X": f"{SECRET} {SECRET}"})
    assert SECRET not in str(caught.value)


def test_a_relative_secret_is_a_credential_first_and_lies_beside_the_configuration_else(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "t").write_text(SECRET)
    environ = {"HOME": "/home/x", "CREDENTIALS_DIRECTORY": str(credentials)}
    read = parse_config('[coder]\ntoken_file = "t"\nca_file = "t"', tmp_path / "c.toml", environ).coder
    assert (read.token_file, read.ca_file) == (credentials / "t", tmp_path / "t")
    assert parse_config('[coder]\ntoken_file = "u"', tmp_path / "c.toml", environ).coder.token_file == tmp_path / "u"


def test_a_file_that_anyone_may_read_is_exposed(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(SECRET)
    path.chmod(0o600)
    assert not exposed(path)
    path.chmod(0o604)
    assert exposed(path)
    assert not exposed(tmp_path / "none")


@pytest.mark.parametrize("text", ["https://coder.example.com", "http://[::1]:3000", "https://x/coder"])
def test_web_addresses(text: str) -> None:
    assert read_web_address(text) == read_web_address(text + "/") == text


@pytest.mark.parametrize(
    "text",
    ["coder.example.com", "ftp://x", "https://", "https://u:pw@x", "https://x?q", "https://x#f", "https://x:0",
     "https://x:99999", "https://a b", "https://[x"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_and_a_password_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f'[coder]\nurl = "{text}"', None, {"HOME": "/"})
    assert caught.value.problems[0].startswith("built-in defaults:2: coder.url: ")
    assert "pw" not in str(caught.value)
