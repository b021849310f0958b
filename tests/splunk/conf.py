"""Reads Splunk's .conf files as strictly as the add-on is written: nothing twice, nothing outside a stanza."""

from __future__ import annotations

from pathlib import Path

Conf = dict[str, dict[str, str]]


def parse_conf(text: str) -> Conf:
    """Stanzas with their settings, in the order of the file."""
    stanzas: Conf = {}
    settings: dict[str, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        assert not line.endswith("\\"), f"line {number}: continued lines are not used"
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            name = line.strip()[1:-1]
            assert line.strip().endswith("]"), f"line {number}: {line}"
            assert name not in stanzas, f"line {number}: {name} is there twice"
            settings = stanzas[name] = {}
            continue
        key, equals, value = line.partition("=")
        assert equals, f"line {number}: {line}"
        assert settings is not None, f"line {number}: outside a stanza"
        assert key.strip() not in settings, f"line {number}: {key.strip()} is there twice"
        settings[key.strip()] = value.strip()
    return stanzas


def read_conf(path: Path) -> Conf:
    """The stanzas of a file."""
    return parse_conf(path.read_text(encoding="utf-8"))
