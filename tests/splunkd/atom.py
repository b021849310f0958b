"""Splunk's answers as it writes them: Atom feeds of entries with their settings, and errors as XML or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from tests.splunkd.world import Content

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<?xml-stylesheet type="text/xml" href="/static/atom.xsl"?>\n'
    '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:s="http://dev.splunk.com/ns/rest" '
    'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">'
)


class Entry(NamedTuple):
    """One entity: its name, its address, its settings, and whose it is."""

    title: str
    link: str
    content: Content
    owner: str = "nobody"
    app: str = "search"


def feed(title: str, entries: Iterable[Entry]) -> bytes:
    """A feed of entries."""
    made = [_entry(entry) for entry in entries]
    return (
        f"{_HEAD}<title>{escape(title)}</title><id>https://127.0.0.1:8089/services/{escape(title)}</id>"
        f'<updated>2026-01-12T10:11:12+00:00</updated><generator build="a1b2c3" version="9.4.1"/>'
        f"<author><name>Splunk</name></author><opensearch:totalResults>{len(made)}</opensearch:totalResults>"
        f"<opensearch:itemsPerPage>30</opensearch:itemsPerPage><opensearch:startIndex>0</opensearch:startIndex>"
        f"<s:messages/>{''.join(made)}</feed>"
    ).encode()


def _entry(entry: Entry) -> str:
    acl = f'<s:dict><s:key name="app">{escape(entry.app)}</s:key><s:key name="can_write">1</s:key><s:key name="owner">{escape(entry.owner)}</s:key><s:key name="sharing">app</s:key></s:dict>'  # fmt: skip
    keys = "".join(f"<s:key name={quoteattr(name)}>{_value(value)}</s:key>" for name, value in entry.content.items())
    return (
        f"<entry><title>{escape(entry.title)}</title><id>https://127.0.0.1:8089{entry.link}</id>"
        f"<updated>2026-01-12T10:11:12+00:00</updated>"
        f'<link href={quoteattr(entry.link)} rel="alternate"/><author><name>{escape(entry.owner)}</name></author>'
        f'<link href={quoteattr(entry.link)} rel="list"/><link href={quoteattr(entry.link)} rel="edit"/>'
        f'<content type="text/xml"><s:dict><s:key name="eai:acl">{acl}</s:key>{keys}</s:dict></content></entry>'
    )


def _value(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"<s:list>{''.join(f'<s:item>{escape(item)}</s:item>' for item in value)}</s:list>"
    return escape(value)


def error(text: str, as_json: bool) -> tuple[str, bytes]:
    """Content type and body of an error."""
    if as_json:
        return "application/json; charset=UTF-8", json.dumps({"messages": [{"type": "ERROR", "text": text}]}).encode()
    return "text/xml; charset=UTF-8", (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<response>\n  <messages>\n    <msg type="ERROR">{escape(text)}</msg>\n'
        "  </messages>\n</response>\n"
    ).encode()
