"""Every error that connlog raises on purpose, in one tree, split by what the caller does about it.

ConnlogError
├── ConfigError      the configuration is invalid                exit 3
├── UsageError       the command line or a query is wrong        exit 2
│   └── QueryError   the filter text is wrong, with its place
├── InputError       a source can't be read                      exit 4
├── SecretError      a token can't be read                       exit 4
├── RemoteError      a server can't be asked, or answers nothing of use  exit 4
│   ├── RemoteRefused it does not take the token, or the token may not do this
│   ├── RemoteMissing what was asked for is not there, or is hidden
│   └── RemoteBusy   it can't answer now, or was asked too much: try later
├── AccessError      a user may not do something with a file     exit 4
│   ├── AccessMissing it is not there
│   └── AccessUnknown who looks can't tell
├── ServiceError     the systemd service can't be installed or asked  exit 4
└── StateError       journal, index or state folder              exit 4
    ├── StateBusy    another process holds it: try later
    ├── StateFull    no room on the disk: pause, and go on when there is
    ├── StateDamaged its content is not sound
    └── StateNewer   written by a newer connlog: left untouched

A message says what happened, where (path, line, column, key) and what to do.
"""

from __future__ import annotations


class ConnlogError(Exception):
    """Base of the tree; ``exit_code`` is what the command line ends with."""

    exit_code = 4


class ConfigError(ConnlogError):
    """The configuration is invalid. ``problems`` holds every problem found, one sentence each."""

    exit_code = 3

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(ConnlogError):
    """The command line asks for something that can't be."""

    exit_code = 2


class QueryError(UsageError):
    """A filter text is wrong. ``field`` is the key at fault or ``q``; ``column`` is 1-based or None."""

    def __init__(self, field: str, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.column = column


class InputError(ConnlogError):
    """A source can't be read."""


class SecretError(ConnlogError):
    """A token can't be read from where the configuration says it is."""


class RemoteError(ConnlogError):
    """A server can't be asked, or its answer is of no use."""


class RemoteRefused(RemoteError):
    """A server does not take the token, or the token may not do this."""


class RemoteMissing(RemoteError):
    """What a server was asked for is not there, or is hidden from the token."""


class RemoteBusy(RemoteError):
    """A server can't answer now. ``retry_seconds`` is how long it wants to be left alone, None if it didn't say."""

    def __init__(self, message: str, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class AccessError(ConnlogError):
    """A user may not do something with a file."""


class AccessMissing(AccessError):
    """The file is not there."""


class AccessUnknown(AccessError):
    """Whoever asks may not look there, so it is not known."""


class ServiceError(ConnlogError):
    """The systemd service can't be installed, removed or asked."""


class StateError(ConnlogError):
    """The journal, the index or the state folder can't be used."""


class StateBusy(StateError):
    """Another process holds it; the same call may work later."""


class StateFull(StateError):
    """There is no room on the disk; nothing was written, and the same call may work later."""


class StateDamaged(StateError):
    """What is stored there is not sound."""


class StateNewer(StateError):
    """It was written by a newer connlog and was left untouched."""
