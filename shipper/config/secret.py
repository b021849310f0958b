"""The secret: a token read from its file, from a credential of systemd or from the environment, and never shown.

A file is read anew each time, so that a token can be changed while connlog runs.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from shipper.errors import SecretError

SECRET_MAX_BYTES = 16 << 10


def handed_secret(folder: Path | None, name: str) -> Path | None:
    """The credential ``name`` in systemd's folder, None where there is none; to the commands of ExecReload systemd names
    the folder, and does not let them in."""
    if folder is None or name.startswith(("/", "~")):
        return None
    try:
        return folder / name if (folder / name).is_file() else None
    except OSError:
        return None


def read_secret(path: Path) -> str:
    """The first line of a regular file without blanks around it. Raises SecretError, which never shows what is in it."""
    try:
        # Without O_NONBLOCK a named pipe that nobody writes to would hold the caller for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise SecretError(f"{path}: is no regular file; put the token into one, and name that")
            raw = os.read(fd, SECRET_MAX_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as error:
        what = error.strerror or "can't be read"
        raise SecretError(f"{path}: {what}; write the token into this file, readable by connlog's user only") from error
    line = raw.split(b"\n", 1)[0].strip()
    if len(raw) > SECRET_MAX_BYTES:
        raise SecretError(f"{path}: is larger than a token ever is; check the path")
    if not line:
        raise SecretError(f"{path}: its first line is empty; write the token into it")
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text or " " in text:
        raise SecretError(f"{path}: its first line is no token: it holds blanks or characters that no token has")
    return text


def find_secret(
    path: Path | None,
    credential: str,
    variable: str,
    environ: Mapping[str, str] = os.environ,
    option: str = "token_file in the configuration",
) -> tuple[str, str]:
    """A token and where it is from: ``path`` if given, which ``option`` names, else the systemd credential of this name,
    else the variable of the environment. Raises SecretError where there is none."""
    if path is not None:
        return read_secret(path), str(path)
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    handed = handed_secret(Path(folder) if folder.startswith("/") else None, credential)
    if handed is not None:
        return read_secret(handed), str(handed)
    value = environ.get(variable, "").strip()
    if value:
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise SecretError(f"${variable}: is no token: it holds blanks or characters that no token has")
        return value, f"${variable}"
    raise SecretError(f"no token: name its file ({option}), or hand over the credential {credential} or ${variable}")


def refuse_pipe(path: Path | None) -> None:
    """Raises OSError for what is there and is no regular file: OpenSSL would wait for ever for what a pipe gives."""
    if path is not None and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))


def exposed(path: Path) -> bool:
    """Whether a secret's file may be read by anyone on this machine."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
