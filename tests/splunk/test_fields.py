"""The add-on gives every event of the corpus its fields, with CIM's expected values, and invents none."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given

from shipper.record import SCHEMA, Gap, Record, Source
from shipper.resource import read_data
from tests.splunk.conf import parse_conf
from tests.splunk.envelope import envelope, gap_envelope, records
from tests.splunk.expression import evaluate, names
from tests.splunk.searchhead import Row, conf, flatten, lookup_columns, lookup_rows, parse_lookup, search_fields
from tests.truth.corpus import FILES, name_of
from tests.truth.reading import read

NAMES = ("user", "user_email", "workspace_owner", "organization", "template", "attributed_user", "attribution")
WEB = {"workspace_app", "port_forwarding", "tunnel"}
AUTHENTICATION_ACTIONS = {"success", "failure", "pending", "error"}
SESSION_ACTIONS = {"started", "ended", "blocked"}


@cache
def corpus_records(path: Path) -> list[Record]:
    return [msgspec.convert(one, Record) for one in read(path.read_bytes()).records]


def expected(record: Record) -> dict[str, Any]:
    """The fields of one record, worked out from the contract's words and not from the add-on's files."""
    names_ = record.names if isinstance(record.names, dict) else {}
    owner = names_.get("workspace_owner") or record.workspace_owner_id
    fields: dict[str, Any] = {
        "app": "coder",
        "vendor_product": "Coder",
        "client_app": record.app,
        "src": record.ip,
        "src_ip": record.ip,
        "dest": record.workspace_name or record.workspace_id,
        "signature": record.type or record.method,
        "signature_id": None if record.code is None else str(record.code),
        "session_id": record.connection_id,
        "workspace": f"{owner or 'unknown'}/{record.workspace_name or record.workspace_id or 'unknown'}",
        "workspace_owner": owner,
        "user_id": record.user_id,
        "user_agent": record.user_agent,
        "event_id": record.id,
        "id": record.id,
        "own_workspace": None,
        "attribution": names_.get("attribution"),
        "attributed_user": names_.get("attributed_user"),
        "user_email": names_.get("user_email"),
        "organization": names_.get("organization") or record.organization_id,
        "template": names_.get("template"),
    }
    certain = names_.get("attributed_user") if names_.get("attribution") == "certain" else None
    if certain is not None and not record.user_id:
        if certain in (names_.get("workspace_owner"), record.workspace_owner_id):
            fields["own_workspace"] = "yes"
        elif names_.get("workspace_owner"):
            fields["own_workspace"] = "no"
    if record.user_id and record.workspace_owner_id:
        fields["own_workspace"] = "yes" if record.user_id == record.workspace_owner_id else "no"
    if record.connection_id is not None or record.method in ("ssh", "reconnecting_pty"):
        start = record.status == "connected"
        fields["coder_kind"] = "session_start" if start else "session_end"
        fields["action"] = "started" if start else "ended"
        # Nobody is named whom connlog only takes for likely, nor the owner.
        fields["user"] = names_.get("user") or record.user_id or certain
        fields["reason"] = record.disconnect_reason
        fields["tag"] = ["network", "session", "start"] if start else ["end", "network", "session"]
        place = [record.workspace_name, *([record.agent_name] if record.agent_name else [])]
        fields["dest_nt_host"] = ".".join(filter(None, place)) if record.workspace_name else None
    else:
        fields["coder_kind"] = "access"
        fields["action"] = access_action(record.code)
        fields["user"] = names_.get("user") or record.user_id or "unknown"
        fields["tag"] = ["authentication"]
        fields["dest_nt_host"] = None
    return fields


def access_action(code: int | None) -> str | None:
    if code is None or not 100 <= code < 600:
        return None
    if code == 303:
        return "pending"
    return "success" if code < 400 else "failure" if code < 500 else "error"


def hold(record: Record) -> Row:
    row = search_fields(envelope(record))
    for name, value in expected(record).items():
        assert row.get(name) == value, name
    return row


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_event_of_the_corpus_has_its_fields(path: Path) -> None:
    """Each field that CIM or a search needs has its expected value; what CIM requires and can be known is there."""
    found = corpus_records(path)
    assert found
    for record in found:
        row = hold(record)
        if row["coder_kind"] == "access":
            assert row["action"] in AUTHENTICATION_ACTIONS
            assert {"app", "dest", "src", "user"} <= row.keys() | ({"src"} if record.ip is None else set())
        else:
            assert row["action"] in SESSION_ACTIONS
            assert {"signature", "vendor_product", "session_id", "dest_nt_host"} <= row.keys()


@given(records())
def test_odd_records_have_their_fields_too(record: Record) -> None:
    """Any text in any place: fields are what the record says, in CIM's words, and of two tags only one kind."""
    row = hold(record)
    assert row.get("action") in AUTHENTICATION_ACTIONS | SESSION_ACTIONS | {None}
    assert isinstance(row["eventtype"], list)
    assert len({"coder_access", "coder_session_start", "coder_session_end"} & set(row["eventtype"])) == 1


SESSION = Record(SCHEMA, "00000000-0000-4000-8000-000000000001", "2026-01-12T10:11:12.000000000Z", "connected", type="ssh", method="ssh", connection_id="00000000-0000-4000-9000-000000000001", workspace_owner_id="00000000-0000-4000-a000-000000000001", workspace_id="w", workspace_name="web", source=Source(host="coder-0"))  # fmt: skip


@pytest.mark.parametrize(
    ("grade", "who", "owner", "user", "own"),
    [
        ("certain", "bob", "alice", "bob", "no"),
        ("certain", "alice", "alice", "alice", "yes"),
        ("certain", "00000000-0000-4000-a000-000000000001", "alice", "00000000-0000-4000-a000-000000000001", "yes"),
        ("certain", "bob", None, "bob", None),
        ("likely", "bob", "alice", None, None),
        ("ambiguous", None, "alice", None, None),
        ("unknown", None, "alice", None, None),
        (None, None, "alice", None, None),
    ],
)
def test_a_session_has_a_user_only_where_connlog_is_certain(
    grade: str | None, who: str | None, owner: str | None, user: str | None, own: str | None
) -> None:
    """A likely one stands in a field of its own, beside the grade; the owner of the workspace is never taken for the user."""
    given = {"attribution": grade, "attributed_user": who, "workspace_owner": owner}
    names_ = {key: value for key, value in given.items() if value is not None}
    row = hold(msgspec.structs.replace(SESSION, names=names_))
    assert (row.get("user"), row.get("own_workspace")) == (user, own)
    assert (row.get("attribution"), row.get("attributed_user")) == (grade, who)


@given(records())
def test_what_a_line_has_besides_changes_no_field(record: Record) -> None:
    """Keys that the log's writer may choose get no further than under their own prefix."""
    bare = Record(**{name: getattr(record, name) for name in record.__struct_fields__ if name != "extra"})
    full, plain = search_fields(envelope(record)), search_fields(envelope(bare))
    assert {name: value for name, value in full.items() if not name.startswith("extra.")} == plain


def test_every_code_and_type_of_the_corpus_has_a_name_for_people() -> None:
    rows = [search_fields(envelope(record)) for path in FILES for record in corpus_records(path)]
    codes = [row for row in rows if row.get("code_kind") == "http"]
    assert codes
    assert all("code_meaning" in row for row in codes)
    for row in codes:
        refused = row["code_meaning"] if row["action"] != "success" else None
        assert row.get("reason") == row.get("disconnect_reason", refused)
    known = set(tomllib.loads(read_data("grammars/types.toml"))["types"])
    assert all(("type_label" in row) == (row["type"] in known) for row in rows)


def test_the_lookups_say_what_the_grammar_of_types_says() -> None:
    table = tomllib.loads(read_data("grammars/types.toml"))
    families = {app: family for family, apps in table["families"].items() for app in apps}
    assert list(lookup_rows("coder_connlog_types")) == [
        {
            "type": name,
            "type_label": table["display"][name],
            "family": families.get(name, ""),
            "kind": "access" if name in table["web_methods"] else "session",
        }
        for name in table["types"]
    ]
    apps = {row["app"]: row for row in lookup_rows("coder_connlog_apps")}
    assert {name.replace("-", "_") for name in apps} == families.keys()
    for name, row in apps.items():
        plain = name.replace("-", "_")
        assert (row["app_label"], row["app_family"]) == (table["display"][plain], families[plain])


def test_a_code_has_one_meaning() -> None:
    keys = [(row["code_kind"], row["code"]) for row in lookup_rows("coder_connlog_codes")]
    assert len(set(keys)) == len(keys)
    for row in lookup_rows("coder_connlog_codes"):
        refused = row["code_kind"] == "http" and access_action(int(row["code"])) != "success"
        assert row["reason"] == (row["code_meaning"] if refused else "")


def test_a_gap_has_its_fields() -> None:
    gap = Gap(SCHEMA, "rotated_unread", Source(host="coder-1", path="/var/log/coder.log"), None, "2026-01-12T10:00:00.000000000Z", 812, False, "2026-01-12T10:11:12.000000000Z", "it was rotated twice")  # fmt: skip
    row = search_fields(gap_envelope(gap))
    assert (row["dvc"], row["gap_path"], row["gap_bytes"]) == ("coder-1", "/var/log/coder.log", "812")
    assert (row["gap_to"], row["exact"], row["reason"]) == (gap.to, "false", gap.reason)
    assert "gap_from" not in row
    assert row["eventtype"] == ["connlog_gap"]
    assert row["tag"] == []


def raw_fields(sourcetype: str) -> set[str]:
    """Fields that an event of the sourcetype can have before the add-on says anything."""
    structs: list[type] = [Record] if sourcetype == "coder:connection_log" else [Gap]
    found = {field for struct in structs for field in struct.__struct_encode_fields__}  # type: ignore[attr-defined]
    inner = {f"source.{name}" for name in Source.__struct_fields__}
    return found | inner | {f"names.{name}" for name in NAMES} | {"event_id"}


@pytest.mark.parametrize("sourcetype", ["coder:connection_log", "connlog:gap"])
def test_what_is_calculated_reads_only_what_is_there(sourcetype: str) -> None:
    """A calculated field reads fields of the event, never another calculated one; a lookup's columns exist."""
    stanza = conf("props")[sourcetype]
    calculated = {key.removeprefix("EVAL-") for key in stanza if key.startswith("EVAL-")}
    aliases = {value.split(" ASNEW ")[1] for key, value in stanza.items() if key.startswith("FIELDALIAS-")}
    for key, value in stanza.items():
        if key.startswith("EVAL-"):
            assert names(value) <= raw_fields(sourcetype) | aliases, key
        elif key.startswith("LOOKUP-"):
            name, keys, _, outputs = parse_lookup(value)
            columns = set(lookup_columns(name))
            assert {column for column, _ in [*keys, *outputs]} <= columns
            assert {field for _, field in keys} <= raw_fields(sourcetype) | aliases | calculated


def lines() -> Iterator[tuple[str, str, bool | None]]:
    yield '1=1 AND "a"="b" OR 2>1', "1", True
    yield 'if(x="1", "yes", "no")', "2", False
    yield "if(y>3, 1, 0)=0", "5", True
    yield "coalesce(y, x)*2=10", "5", True


@pytest.mark.parametrize(("text", "x", "result"), list(lines()))
def test_the_evaluator_knows_the_language(text: str, x: str, result: bool | None) -> None:
    """Numbers compare as numbers, a missing field is no condition, AND binds closer than OR."""
    value = evaluate(text, {"x": x})
    assert value is result or value == ("no" if x == "2" else result)


def test_the_evaluator_refuses_what_splunk_leaves_open() -> None:
    with pytest.raises(AssertionError):
        evaluate('missing="x" OR 1=1', {})


def test_extraction_is_that_of_kv_mode_json() -> None:
    """Dotted names, arrays with braces, nulls as text: what the add-on must be able to live with."""
    assert flatten(json.loads('{"a":{"b":null,"c":[1,"x"]},"d":true}')) == {
        "a.b": "null",
        "a.c{}": ["1", "x"],
        "d": "true",
    }


def test_the_reader_of_conf_files_is_strict() -> None:
    assert parse_conf("# c\n[a]\nx = 1 = 2\n\n[b]\n") == {"a": {"x": "1 = 2"}, "b": {}}
    for text in ("x = 1", "[a]\nx = 1\nx = 2", "[a]\n[a]", "[a]\nx", "[a]\nx = 1 \\\n"):
        with pytest.raises(AssertionError):
            parse_conf(text)
