"""The redaction: text that leaves the machine, without secrets and without what came from logs."""

from __future__ import annotations

import re
from collections.abc import Iterable

BLANK = "(blanked)"
SECRET_LEAST_CHARACTERS = 6
"""A shorter secret would blank half of the text."""
_assigned = re.compile(
    # A key that smells of a secret, unless it names the file of one, with a value of one line or of several.
    r"""(?imx) ( (?: ^ | [\s,{;"'] ) [\w.-]{0,80}? (?<! \bload )
               (?: token | secret | passw(?:or)?d | passphrase | credential | auth | authorization | api_?key )
               (?! [\w.-]{0,80} (?: _file | _timeout | _wait ) ) [\w.-]{0,80} ["']? \s{0,80} [=:] \s{0,80} )
        (?: \"{3} [\s\S]*? (?: \"{3} | \Z ) | \'{3} [\s\S]*? (?: \'{3} | \Z ) | \[ [^\]]* (?: \] | \Z ) | \S .* $ )"""
)
_environment = re.compile(r"^((?:\s*#)?\s*(?:Pass)?Environment\s*=).*$", re.MULTILINE)
_continued = re.compile(r"\\\n\s*")
_shaped = re.compile(
    r"""(?x)
      \b [0-9a-fA-F]{8} - (?: [0-9a-fA-F]{4} - ){3} [0-9a-fA-F]{12} \b   # a HEC token, or an id of an event
    | \b [A-Za-z0-9]{10} - [A-Za-z0-9]{22} \b                           # a token of Coder's
    | \b eyJ [\w-]{10,} \. [\w-]{4,} (?: \. [\w-]* )?                   # a JSON web token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY----- (?: .*? -----END\ [A-Z ]*PRIVATE\ KEY----- | .* )
    | (?i: \b (?: Bearer | Basic | Splunk ) \ + ) [\w.~+/=-]{8,}
    | (?<= :// ) [^\s/@"']{1,256} @                                     # user:password of an address
    | \b [0-9a-fA-F]{32,} \b | (?<! [/\w.+=-] ) (?= [\w+=-]* \d ) (?= [\w+=-]* [A-Za-z] ) [\w+=-]{32,} (?! [/\w.-] )
    """,
    re.DOTALL,
)
_drift = re.compile(r"(new in the logs: \S+ ).*?(, first met in )")
_fault = re.compile(r"( \| [A-Za-z_.]+(?:Error|Exception|Exit|Interrupt)): .*")
_name_label = re.compile(r'(connlog_drift_total\{.*?name=")(?:[^"\\]|\\.)*(")')


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with everything blanked that is one of ``secrets``, or has the shape of a token or an id."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SECRET_LEAST_CHARACTERS:
            text = text.replace(secret, BLANK)
    return _shaped.sub(BLANK, text)


def of_settings(text: str) -> str:
    """A configuration, or a unit's file, with everything blanked that is given to a key that smells of a secret."""
    joined = _continued.sub(" ", text)
    return _assigned.sub(lambda match: match[1] + BLANK, _environment.sub(rf"\1{BLANK}", joined))


def of_own_log(text: str) -> str:
    """connlog's own log without names that came from other logs, and without what faults quote at the level debug."""
    return _fault.sub(rf"\1: {BLANK}", _drift.sub(rf"\1{BLANK}\2", text))


def of_metrics(text: str) -> str:
    """The metrics without names that came from logs."""
    return _name_label.sub(rf"\1{BLANK}\2", text)
