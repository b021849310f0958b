"""Every search, macro and dashboard of the add-on runs, names only what exists, and answers what it says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.record import SCHEMA, Gap, Log, Record, Source
from tests.splunk.condition import condition_values
from tests.splunk.conf import parse_conf
from tests.splunk.envelope import envelope, gap_envelope, records
from tests.splunk.pipeline import Table, expand, follow, run
from tests.splunk.searchhead import ADDON, FILLED, conf, lookup_columns, lookup_rows, search_fields

SAVED = conf("savedsearches")
VIEWS = sorted((ADDON / "default/data/ui/views").glob("*.xml"))
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
OWNER, GUEST = "5d72e380-d634-4a23-b2be-b234dc9b7f45", "d644ec99-60c3-4727-8edb-573259cf7e80"
WORKSPACE = "5dc9d2e1-4764-495d-bb4a-ca33559718ea"


def record(number: int, seconds: float, type_: str, method: str, **more: object) -> Record:
    stamp = (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    fields: dict[str, object] = {
        "schema": SCHEMA, "id": f"00000000-0000-4000-8000-{number:012}", "time": stamp, "status": "connected",
        "type": type_, "method": method, "workspace_owner_id": OWNER, "workspace_id": WORKSPACE, "workspace_name": "web",
        "log": Log(time=stamp), "source": Source(host="coder-0"), **more,
    }  # fmt: skip
    return msgspec.convert(fields, Record, from_attributes=True)


def session(number: int, begins: float | None, ends: float | None, **more: object) -> list[Record]:
    common = {"connection_id": f"00000000-0000-4000-9000-{number:012}", "agent_name": "main", "ip": "fd7a::1", **more}
    found = []
    if begins is not None:
        found.append(record(number * 10, begins, "ssh", "ssh", **common))
    if ends is not None:
        found.append(record(number * 10 + 1, ends, "ssh", "ssh", status="disconnected", code=137, **common))
    return found


DEFAULTS: dict[str, str | None] = dict.fromkeys(("workspace", "agent", "ip", "type", "state", "session"), "*")
RECORDS = [
    *session(1, 0, 61.5),
    *session(2, 100, None),
    *session(3, None, 300, disconnect_reason="agent gone"),
    *session(4, 86400 * 3 - 600, None),
    *[record(1000 + n, n, "workspace_app", "workspace_app", code=403, user_id=GUEST, ip="203.0.113.9") for n in range(6)],
    record(2000, 10, "workspace_app", "workspace_app", code=200, user_id=OWNER, ip="203.0.113.1", slug_or_port="term"),
    record(2001, 11, "port_forwarding", "port_forwarding", code=200, user_id=GUEST, ip="203.0.113.9", slug_or_port="8080"),
    record(2002, 12, "workspace_app", "workspace_app", code=303, ip="203.0.113.7"),
    record(2003, 13, "workspace_app", "workspace_app", code=502, user_id=GUEST),
    record(2004, 14, "tunnel", "tunnel", code=101, user_id=GUEST, ip="203.0.113.9"),
]  # fmt: skip
GAP = Gap(SCHEMA, "rotated_unread", Source(host="coder-0", path="/var/log/coder.log"), detected="2026-01-12T10:11:12.000000000Z", reason="rotated twice")  # fmt: skip


@cache
def events() -> Table:
    """The records, one of them twice as after a lost answer, and a gap; newest first, as Splunk gives them."""
    rows = [search_fields(envelope(one), time.time()) for one in [*RECORDS, RECORDS[0]]]
    rows.append(search_fields(gap_envelope(GAP)))
    rows.sort(key=lambda row: -float(str(row["_time"])))
    return Table(rows, known_fields())


def known_fields() -> set[str]:
    """Every field that an event can have: of the record, of a gap, of Splunk, and those that the add-on gives."""
    found = {*Record.__struct_fields__, *Gap.__struct_encode_fields__, "_time", "_indextime", "host", "source", "sourcetype"}  # fmt: skip
    found |= {"index", "eventtype", "tag", "event_id"}
    for stanza in conf("props").values():
        for key, value in stanza.items():
            if key.startswith("EVAL-"):
                found.add(key.removeprefix("EVAL-"))
            elif key.startswith("FIELDALIAS-"):
                found.add(value.split(" ASNEW ")[1])
            elif key.startswith("LOOKUP-"):
                given = re.split(r" OUTPUT(?:NEW)? ", value)[1]
                found |= {last or first for first, last in re.findall(r"(\w+)(?: AS (\w+))?", given)}
    return found


@pytest.fixture(autouse=True)
def shipped_lookups() -> Iterator[None]:
    """Each test begins with the lookups as they ship."""
    yield
    FILLED.clear()


def saved(name: str) -> list[dict[str, object]]:
    return [dict(row) for row in run(SAVED[f"Coder Connection Log - {name}"]["search"], events()).rows]


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_search_runs_and_finds_something(name: str) -> None:
    """It names only macros, commands, lookups and fields that exist, and over these events it has an answer."""
    found = run(SAVED[name]["search"], events())
    quiet = "Silent" in name
    assert bool(found.rows) != quiet


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_search_says_its_range_and_an_alert_ships_disabled(name: str) -> None:
    said = SAVED[name]
    assert said["description"].endswith(".")
    assert said["dispatch.earliest_time"].startswith("-")
    assert said["dispatch.latest_time"]
    assert ("Alert" in name or "Remember" in name) == ("cron_schedule" in said) == (said.get("disabled") == "1")
    if "cron_schedule" in said:
        assert re.fullmatch(r"\d+ (\*|\d+) \* \* \*", said["cron_schedule"])
        assert said["enableSched"] == "1"
    if "Alert" in name:
        assert (said["quantity"], said["relation"]) == ("0", "greater than")


@settings(max_examples=20)
@given(st.lists(records(), min_size=1, max_size=8))
def test_no_search_leaves_out_an_event_for_what_it_lacks(odd: list[Record]) -> None:
    """Whatever keys are missing and whatever texts are in them: no row is dropped for a missing key of a group."""
    table = Table([search_fields(envelope(one)) for one in odd], known_fields())
    for saved_search in SAVED.values():
        run(saved_search["search"], table)
    for path in VIEWS:
        view = ET.fromstring(path.read_text())
        bases = {node.get("id"): node.findtext("query") or "" for node in view.iter("search") if node.get("id")}
        for base, query in searches_of(view):
            text = fill(query, DEFAULTS)
            follow(text, run(fill(bases[base], DEFAULTS), table)) if base else run(text, table)


def test_sessions_are_paired_with_start_end_and_duration() -> None:
    found = {row["session_id"]: row for row in run("`connlog_events` | `connlog_sessions`", events()).rows}
    one, two, three, four = (found[f"00000000-0000-4000-9000-{n:012}"] for n in (1, 2, 3, 4))
    assert (one["state"], one["duration"], one["action"], one["events"]) == ("completed", 61.5, "ended", 2)
    assert (one["start_time"], one["end_time"]) == (START.timestamp(), START.timestamp() + 61.5)
    assert (one["code"], one["workspace"], one["dest_nt_host"]) == ("137", f"{OWNER}/web", "web.main")
    assert (two["state"], two["action"], "duration" in two, "end_time" in two) == ("ongoing", "started", False, False)
    assert (three["state"], "duration" in three, three["reason"]) == ("completed", False, "agent gone")
    assert four["state"] == "ongoing"


def test_remembered_durations_are_fields_of_the_ends_of_sessions() -> None:
    """The number that CIM wants, on ends alone; a second run keeps what it has and adds nothing twice."""
    end, start = RECORDS[1], RECORDS[0]
    assert "duration" not in search_fields(envelope(end))
    for _ in range(2):
        saved("Remember Durations")
        assert lookup_rows("coder_connlog_durations") == (
            {
                "session_key": f"{end.connection_id}|{WORKSPACE}|main",
                "duration": "61.5",
                "end_time": f"{START.timestamp() + 61.5}",
            },
        )
    assert search_fields(envelope(end))["duration"] == "61.5"
    assert "duration" not in search_fields(envelope(start))
    assert "duration" not in search_fields(envelope(session(3, None, 300)[0]))


def test_an_end_without_a_usable_start_has_no_duration() -> None:
    """A start of the year 0001 is no start, as in the local index."""
    odd = record(90, 0, "ssh", "ssh", connection_id="c", time="0001-01-01T00:00:00.000000000Z")
    rows = [
        search_fields(envelope(one))
        for one in [odd, record(91, 9, "ssh", "ssh", connection_id="c", status="disconnected")]
    ]
    (found,) = run("`connlog_events` | `connlog_sessions`", Table(rows, known_fields())).rows
    assert found["state"] == "completed"
    assert not {"duration", "start_time"} & found.keys()


def test_a_doubled_event_counts_once_and_is_told_by_the_shippers_health() -> None:
    (health,) = saved("Shipper Health")
    assert (health["host"], health["events"], health["doubles"]) == ("coder-0", len(RECORDS) + 1, 1)
    sessions = run("`connlog_events` | `connlog_dedup` | stats count AS events", events()).rows
    assert sessions == [{"events": len(RECORDS)}]


def test_failed_and_denied_access_is_counted_by_who_and_where() -> None:
    denied, failed = saved("Failed and Denied Access")
    assert (denied["user"], denied["src"], denied["attempts"]) == (GUEST, "203.0.113.9", 6)
    assert (denied["codes"], denied["reasons"], denied["action"]) == (["403"], ["Forbidden"], "failure")
    assert (failed["src"], failed["action"], failed["reasons"]) == ("unknown", "error", ["Bad Gateway"])
    (alarm,) = saved("Alert - Denied Access")
    assert (alarm["attempts"], alarm["workspaces"]) == (6, 1)


def test_access_to_the_workspaces_of_others_leaves_out_owners_and_refusals() -> None:
    found = saved("Access to Workspaces of Others")
    assert {(row["user"], row["type"], row["accesses"]) for row in found} == {
        (GUEST, "port_forwarding", 1),
        (GUEST, "tunnel", 1),
    }


def test_a_session_in_the_workspace_of_another_is_told_where_it_is_certain_who_it_was() -> None:
    names = {"workspace_owner": "alice", "attributed_user": "bob"}
    sessions = [
        *session(1, 0, None, names={**names, "attribution": "certain"}),
        *session(2, 1, None, names={**names, "attribution": "likely"}),
        *session(3, 2, None, names={**names, "attributed_user": "alice", "attribution": "certain"}),
    ]
    table = Table([search_fields(envelope(one)) for one in sessions], known_fields())
    found = run(SAVED["Coder Connection Log - Access to Workspaces of Others"]["search"], table).rows
    assert [(row["user"], row["workspace_owner"], row["accesses"]) for row in found] == [("bob", "alice", 1)]
    rows = run(SAVED["Coder Connection Log - Sessions"]["search"], table).rows
    assert {(row["attributed_user"], row["attribution"]) for row in rows} == {
        ("bob", "certain"), ("bob", "likely"), ("alice", "certain"),
    }  # fmt: skip


def test_a_port_forward_names_its_port() -> None:
    (found,) = saved("Port Forwards")
    assert (found["user"], found["port"], found["own_workspace"]) == (GUEST, "8080", "no")


def test_an_ongoing_session_is_told_once_it_is_over_the_limit() -> None:
    (found,) = saved("Ongoing Sessions Over the Limit")
    assert found["session_id"] == "00000000-0000-4000-9000-000000000002"
    assert 71 < float(str(found["hours"])) < 73


def test_a_gap_is_told_with_what_is_known() -> None:
    (found,) = saved("Gaps")
    assert (found["gap"], found["gap_path"], found["gap_from"]) == ("rotated_unread", "/var/log/coder.log", "unknown")


def test_every_macro_is_used_and_ends() -> None:
    everything = "".join(path.read_text() for path in (ADDON / "default").rglob("*") if path.is_file())
    for name, macro in conf("macros").items():
        assert f"`{name}`" in everything
        assert "`" not in expand(macro["definition"])


@pytest.mark.parametrize("name", conf("eventtypes"))
def test_an_event_type_is_a_plain_search_over_what_exists(name: str) -> None:
    search = conf("eventtypes")[name]["search"]
    assert not set(search) & set("|`[")
    terms = condition_values(search)
    assert {field for field, _ in terms} <= known_fields()
    assert dict(terms)["sourcetype"] in conf("props")


def test_tags_are_cims_and_their_event_types_exist() -> None:
    assert {name.removeprefix("eventtype=") for name in conf("tags")} <= conf("eventtypes").keys()
    sets = {frozenset(stanza) for stanza in conf("tags").values()}
    assert sets == {
        frozenset({"authentication"}),
        frozenset({"network", "session", "start"}),
        frozenset({"network", "session", "end"}),
    }


def test_every_lookup_file_has_its_stanza_and_a_header() -> None:
    assert {conf("transforms")[name]["filename"] for name in conf("transforms")} == {
        path.name for path in (ADDON / "lookups").iterdir()
    }
    for name in conf("transforms"):
        assert lookup_columns(name)
        assert all(None not in row and None not in row.values() for row in lookup_rows(name))


def searches_of(view: ET.Element) -> list[tuple[str | None, str]]:
    return [(node.get("base"), node.findtext("query") or "") for node in view.iter("search")]


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.stem)
def test_a_dashboard_is_sound(path: object) -> None:
    """Simple XML of version 1.1; bases, tokens and fields of columns exist; every search runs and finds something."""
    view = ET.fromstring(path.read_text())  # type: ignore[attr-defined]
    assert (view.tag, view.get("version")) == ("form", "1.1")
    assert view.findtext("label")
    bases = {node.get("id"): node.findtext("query") or "" for node in view.iter("search") if node.get("id")}
    given = {"time.earliest", "time.latest"} | {node.get("token") for node in view.iter() if node.get("token")}
    used = set(re.findall(r"\$([\w.]+)(?:\|\w)?\$", ET.tostring(view, encoding="unicode")))
    assert {name for name in used if not name.startswith("row.")} <= given
    defaults = {str(node.get("token")): node.findtext("default") for node in view.iter("input")}
    defaults["session"] = "00000000-0000-4000-9000-000000000001"
    for base, query in searches_of(view):
        # Only within quotes may the text of a token reach a search.
        assert not re.search(r"\$\w+\$", query)
        text = fill(query, defaults)
        found = follow(text, run(fill(bases[base], defaults), events())) if base else run(text, events())
        assert found.rows, query
    for table in view.iter("table"):
        columns = re.search(r"\| table ([\w ]+)$", next(iter(table.iter("query"))).text or "")
        assert columns
        assert {name.removeprefix("row.") for name in used_in(table)} <= set(columns[1].split())


def used_in(table: ET.Element) -> set[str]:
    return set(re.findall(r"\$(row\.\w+)", ET.tostring(table, encoding="unicode")))


def fill(query: str, values: dict[str, str | None]) -> str:
    return re.sub(r"\$(\w+)\|s\$", lambda found: f'"{values[found[1]]}"', query)


def test_what_dashboards_and_the_menu_lead_to_exists() -> None:
    menu = ET.fromstring((ADDON / "default/data/ui/nav/default.xml").read_text())
    views = {path.stem for path in VIEWS}
    assert {str(node.get("name")) for node in menu.iter("view")} == views | {"search"}
    assert {str(node.get("source")) for node in menu.iter("saved")} <= SAVED.keys()
    for path in VIEWS:
        for link in ET.fromstring(path.read_text()).iter("link"):
            found = re.match(r"/app/TA_coder_connlog/(\w+)\?form\.(\w+)=", link.text or "")
            assert found
            target = (ADDON / f"default/data/ui/views/{found[1]}.xml").read_text()
            assert f'token="{found[2]}"' in target


def test_the_application_is_described_and_nothing_secret_or_local_ships() -> None:
    app = conf("app")
    assert app["package"]["id"] == app["id"]["name"] == ADDON.name
    assert app["id"]["version"] == app["launcher"]["version"] == "@VERSION@"
    meta = parse_conf((ADDON / "metadata/default.meta").read_text())
    assert meta[""]["export"] == "system"
    files = {path.relative_to(ADDON).parts[0] for path in ADDON.rglob("*") if path.is_file()}
    assert files == {"README.md", "default", "lookups", "metadata"}


def test_an_unknown_field_macro_or_command_is_an_error() -> None:
    for text, problem in (("`connlog_events` invented=1", AssertionError), ("`nothing`", KeyError), ("`connlog_events` | foo", KeyError), ("`connlog_events` | table nobody", AssertionError)):  # fmt: skip
        with pytest.raises(problem):
            run(text, events())
