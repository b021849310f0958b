"""The rules of the record: aliases, types, codes, addresses, nulls, and nothing on the line lost."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.normalisation import Normaliser, Unusable
from shipper.parsing.result import Parsed, Several
from shipper.record import Log, Record, Source
from shipper.value import DRIFT_MAX_COUNT

ID = "0ea1cbd0-90bc-4d8d-bdce-9ead313fe07b"
OTHER = "5d72e380-d634-4a23-b2be-b234dc9b7f45"
BASE: dict[str, Any] = {"ID": ID, "Time": "2026-08-10T16:20:06.5Z", "ConnectionStatus": "connected"}
SHARED = Normaliser(Record)


def build(fields: dict[str, Any], *, human: bool = False, beside: dict[str, Any] | None = None) -> dict[str, Any]:
    """The record of these fields: the same from a new normaliser, and from one that has seen much."""
    out = []
    for normaliser in (Normaliser(Record), SHARED, SHARED):
        parsed = Parsed(tuple(fields), list(fields.values()), Log(), human, dict(beside or {}))
        out.append(msgspec.to_builtins(normaliser.build(parsed, Source())))
    assert out[0] == out[1] == out[2]
    record: dict[str, Any] = out[0]
    return record


def record(fields: dict[str, Any], *, human: bool = False) -> dict[str, Any]:
    return build({**BASE, **fields}, human=human)


@pytest.mark.parametrize(
    ("type_", "connected", "shown"),
    [
        ("ssh", True, ("ssh", "ssh", None)),
        ("reconnecting_pty", True, ("reconnecting_pty", "reconnecting_pty", None)),
        ("workspace_app", False, ("workspace_app", "workspace_app", None)),
        ("port_forwarding", False, ("port_forwarding", "port_forwarding", None)),
        ("tunnel", False, ("tunnel", "tunnel", None)),
        ("tunnel", True, ("tunnel", "tunnel", None)),
        ("vscode", True, ("vscode", "ssh", "vscode")),
        ("vscode", False, ("vscode", "ssh", "vscode")),
        ("jetbrains", True, ("jetbrains", "ssh", "jetbrains")),
        ("cursor", True, ("cursor", "ssh", "cursor")),
        ("Cursor", True, ("Cursor", "ssh", "Cursor")),
        ("code-server", False, ("code-server", "ssh", "code-server")),
        ("zed", False, ("zed", "ssh", "zed")),
        ("goland", True, ("goland", "ssh", "goland")),
        ("goland", False, ("goland", None, None)),
        ("system", False, ("system", None, None)),
        ("egress", True, ("egress", "ssh", "egress")),
        ("", True, (None, None, None)),
        (None, True, (None, None, None)),
    ],
)
def test_the_table_of_types(type_: Any, connected: bool, shown: tuple[Any, Any, Any]) -> None:
    """Type to type, method and app, with a connection id and without."""
    found = record({"Type": type_, "SlugOrPort": "8080", "ConnectionID": OTHER if connected else None})
    assert (found["type"], found["method"], found["app"]) == shown
    assert found["slug_or_port"] == "8080"


@pytest.mark.parametrize(
    ("method", "named", "shown"),
    [
        ("ssh", "cursor", ("cursor", "ssh", "cursor", None)),
        ("ssh", "", ("ssh", "ssh", None, None)),
        ("ssh", None, ("ssh", "ssh", None, None)),
        ("reconnecting_pty", "", ("reconnecting_pty", "reconnecting_pty", None, None)),
        ("reconnecting_pty", "zed", ("zed", "reconnecting_pty", "zed", None)),
        ("workspace_app", "code", ("workspace_app", "workspace_app", None, "code")),
        ("port_forwarding", "8080", ("port_forwarding", "port_forwarding", None, "8080")),
        ("tunnel", "", ("tunnel", "tunnel", None, None)),
        ("teleport", "x", ("teleport", "teleport", None, "x")),
    ],
)
def test_the_table_of_methods(method: str, named: Any, shown: tuple[Any, ...]) -> None:
    """ConnectionMethod and AppNameOrPort to type, method, app and slug_or_port."""
    found = record({"ConnectionMethod": method, "AppNameOrPort": named, "ConnectionID": OTHER})
    assert (found["type"], found["method"], found["app"], found["slug_or_port"]) == shown
    assert found["extra"] == {}


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (200, 200), (0, 0), (-2147483648, -2147483648), (2147483647, 2147483647), (None, None), ("", None), ("<nil>", None),
        ("200", 200), ("0", 0), ("-1", -1), ("{Int32:200 Valid:true}", 200), ("{Int32:0 Valid:true}", 0),
        ("{Int32:0 Valid:false}", None), ("{Int32:-1 Valid:true}", -1), ("{Int64:101 Valid:true}", 101),
    ],
)  # fmt: skip
def test_forms_of_a_code(code: Any, number: int | None) -> None:
    """A number, its text, or the print of a SQL value; 0 is no null."""
    found = record({"Code": code})
    assert found["code"] == number
    assert type(found["code"]) is type(number)
    assert found["extra"] == {}


@pytest.mark.parametrize(
    "code",
    [
        "abc",
        "{Int32:x Valid:true}",
        "200 ",
        "0x10",
        1.5,
        True,
        False,
        [200],
        {"Int32": 200},
        "\u0662",
        "1e3",
        2147483648,
        -2147483649,
        "2147483648",
        "{Int32:9999999999999999999 Valid:true}",
    ],
)
def test_another_code_is_kept_aside(code: Any) -> None:
    """What is no code is null, and stands in extra as it was."""
    found = record({"Code": code})
    assert found["code"] is None
    assert found["extra"] == {"Code": code}
    assert type(found["extra"]["Code"]) is type(code)


@pytest.mark.parametrize(
    ("ip", "shown"),
    [
        ("203.0.113.9", "203.0.113.9"), ("::ffff:203.0.113.9", "203.0.113.9"), ("::FFFF:CB00:7109", "203.0.113.9"),
        ("2001:DB8::1", "2001:db8::1"), ("2001:db8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("::", "::"), ("0.0.0.0", "0.0.0.0"), ("", None), ("<nil>", None), (None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["IP", "Ip"])
def test_addresses_are_canonical(name: str, ip: Any, shown: str | None) -> None:
    """One text for one address; no address is null; under either name."""
    found = record({name: ip})
    assert found["ip"] == shown
    assert found["extra"] == {}


@pytest.mark.parametrize(
    "ip",
    [
        "localhost",
        "1.2.3",
        "01.2.3.4",
        "10.0.0.0/8",
        "203.0.113.9:22",
        7,
        2130706433,
        True,
        [1],
        {"a": 1},
        "\x00",
    ],
)
@pytest.mark.parametrize("name", ["IP", "Ip"])
def test_what_is_no_address_is_kept_aside(name: str, ip: Any) -> None:
    """A number is no address either, although one could be made of it."""
    found = record({name: ip})
    assert found["ip"] is None
    assert found["extra"] == {name: ip}


@given(st.ip_addresses())
def test_any_address_comes_back_as_itself(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """In any spelling; what is mapped from IPv4 is IPv4."""
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    for text in (str(ip), ip.exploded, ip.exploded.upper()):
        assert record({"Ip": text})["ip"] == str(mapped or ip)


NO_IDS: list[Any] = [None, "", "<nil>", "x", 7, [], {}, True, ID[:-1], ID + "0", ID + "\n"]
NO_TIMES: list[Any] = [None, "", "<nil>", "x", 7, 1.5, [], {}, "2026-02-30T00:00:00Z"]
NO_STATUSES: list[Any] = [None, "", "<nil>", "x", 7, [], {}, True, "connected "]
UUIDS = {
    "OrganizationID": "organization_id", "WorkspaceOwnerID": "workspace_owner_id", "WorkspaceID": "workspace_id",
    "AgentID": "agent_id", "UserID": "user_id", "ConnectionID": "connection_id",
}  # fmt: skip
TEXTS = {
    "WorkspaceName": "workspace_name", "AgentName": "agent_name", "UserAgent": "user_agent", "SlugOrPort": "slug_or_port",
    "ClientSessionID": "client_session_id", "DisconnectReason": "disconnect_reason", "request_id": "request_id",
}  # fmt: skip


@pytest.mark.parametrize(("name", "key"), UUIDS.items())
def test_ids_are_lower_case_or_kept_aside(name: str, key: str) -> None:
    """A UUID in either case; nulls of every kind; anything else in extra."""
    assert record({name: OTHER.upper()})[key] == OTHER
    for null in (None, "", "<nil>"):
        found = record({name: null})
        assert (found[key], found["extra"]) == (None, {})
    for wrong in (
        "x",
        OTHER[:-1],
        OTHER + "\n",
        OTHER.replace("-", ""),
        7,
        1.5,
        True,
        [OTHER],
        {"UUID": OTHER, "Valid": True},
    ):
        found = record({name: wrong})
        assert (found[key], found["extra"]) == (None, {name: wrong})


@pytest.mark.parametrize(("name", "key"), TEXTS.items())
def test_texts_stay_as_they_are_or_are_kept_aside(name: str, key: str) -> None:
    """Empty is null, the text <nil> is text; a value that is no text is in extra, under its own name."""
    assert record({name: ""})[key] is None
    assert record({name: None})[key] is None
    for text in ("<nil>", " ", "null", "0", "x\x00\x1b\n", "\u2028"):
        found = record({name: text})
        assert (found[key], found["extra"]) == (text, {})
    for wrong in (0, 7, 1.5, True, False, [], ["x"], {}, {"String": "x", "Valid": True}):
        found = record({name: wrong})
        assert (found[key], found["extra"]) == (None, {name: wrong})
        assert type(found["extra"][name]) is type(wrong)


@pytest.mark.parametrize("wrong", [7, 1.5, True, ["ssh"], {"x": 1}])
@pytest.mark.parametrize("name", ["Type", "ConnectionMethod", "AppNameOrPort"])
def test_a_kind_of_another_type_is_kept_aside(name: str, wrong: Any) -> None:
    """Also what cannot even be a key of a table."""
    found = record({name: wrong})
    assert (found["type"], found["method"], found["app"]) == (None, None, None)
    assert found["extra"] == {name: wrong}


@pytest.mark.parametrize(
    ("name", "word", "status"),
    [
        ("ConnectionStatus", "connected", "connected"), ("ConnectionStatus", "Disconnected", "disconnected"),
        ("ConnectionAction", "connect", "connected"), ("ConnectionAction", "disconnect", "disconnected"),
    ],
)  # fmt: skip
def test_words_of_the_status(name: str, word: str, status: str) -> None:
    """Both names, both spellings."""
    fields = {key: value for key, value in BASE.items() if key != "ConnectionStatus"}
    assert build({**fields, name: word})["status"] == status


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("ID", value) for value in NO_IDS),
        *(("Time", value) for value in NO_TIMES),
        *(("ConnectionStatus", value) for value in NO_STATUSES),
    ],
)
def test_without_id_time_or_status_there_is_no_record(name: str, value: Any) -> None:
    """It is refused with the field's name, whatever stands there."""
    for normaliser in (Normaliser(Record), SHARED):
        fields = {**BASE, name: value}
        with pytest.raises(Unusable) as caught:
            normaliser.build(Parsed(tuple(fields), list(fields.values()), Log(), False), Source())
        assert caught.value.key == name
        assert name in caught.value.reason
    fields = {key: value for key, value in BASE.items() if key != name}
    with pytest.raises(Unusable):
        SHARED.build(Parsed(tuple(fields), list(fields.values()), Log(), False), Source())


def test_the_id_is_lower_case() -> None:
    """An id is compared as text later, so it has one spelling."""
    assert build({**BASE, "ID": ID.upper()})["id"] == ID


@pytest.mark.parametrize(
    ("fields", "key", "value", "extra"),
    [
        ({"DisconnectReason": "a", "CloseReason": "b"}, "disconnect_reason", "a", {"CloseReason": "b"}),
        ({"DisconnectReason": "a", "CloseReason": ""}, "disconnect_reason", "a", {}),
        ({"CloseReason": "b"}, "disconnect_reason", "b", {}),
        ({"DisconnectReason": "", "CloseReason": "b"}, "disconnect_reason", "b", {}),
        ({"Ip": "10.0.0.1", "IP": "10.0.0.2"}, "ip", "10.0.0.2", {"Ip": "10.0.0.1"}),
        ({"IP": None, "Ip": "10.0.0.1"}, "ip", "10.0.0.1", {}),
    ],
)
def test_of_two_names_of_a_key_the_first_usable_wins(
    fields: dict[str, Any], key: str, value: Any, extra: dict[str, Any]
) -> None:
    """The other one's value is kept in extra; nothing that the line says is lost."""
    found = record(fields)
    assert found[key] == value
    assert found["extra"] == extra


@given(
    st.dictionaries(
        st.text(max_size=9).filter(lambda name: name not in {"ID", "Time", "Type"}),
        st.none() | st.integers() | st.text(max_size=9),
    )
)
def test_unknown_keys_are_kept_under_their_own_names(fields: dict[str, Any]) -> None:
    """As the JSON value they were; in human lines <nil> is null."""
    mine = {f"X{name}": value for name, value in fields.items()}
    assert record(mine)["extra"] == mine
    text = {name: str(value) for name, value in mine.items()}
    assert record({**text, "Xn": "<nil>"}, human=True)["extra"] == {**text, "Xn": None}


def test_drift_is_told_once_and_bounded() -> None:
    """An unknown key, type or status is named at its first sight only, and not without end."""
    normaliser = Normaliser(Record)
    fields = {**BASE, "Foo": 1, "Type": "bar"}
    for _ in range(3):
        normaliser.build(Parsed(tuple(fields), list(fields.values()), Log(), False), Source())
    assert sorted(normaliser.take_drift()) == ["key:Foo", "type:bar"]
    for at in range(DRIFT_MAX_COUNT + 50):
        fields = {**BASE, "Type": f"t{at}"}
        normaliser.build(Parsed(tuple(fields), list(fields.values()), Log(), False), Source())
    told = normaliser.take_drift()
    assert len(told) == DRIFT_MAX_COUNT
    assert told[-1] == "type:(others)"


def test_a_flood_of_types_hides_no_new_key() -> None:
    """A type is whatever somebody calls an app; a key is new with an upgrade."""
    normaliser = Normaliser(Record)
    for at in range(5 * DRIFT_MAX_COUNT):
        fields = {**BASE, "Type": f"t{at}"}
        normaliser.build(Parsed(tuple(fields), list(fields.values()), Log(), False), Source())
    normaliser.take_drift()
    fields = {**BASE, "Foo": 1}
    normaliser.build(Parsed(tuple(fields), list(fields.values()), Log(), False), Source())
    assert normaliser.take_drift() == ["key:Foo"]


@given(
    st.lists(
        st.sampled_from([*UUIDS, *TEXTS, "Ip", "IP", "Code", "Type", "ConnectionMethod", "AppNameOrPort", "Y"]),
        unique=True,
    ),
    st.data(),
)
def test_any_json_value_anywhere_ships(names: list[str], data: st.DataObject) -> None:
    """Whatever stands under the known keys, the event is a record, and what fits nowhere else is in extra."""
    value = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.just(OTHER), st.just("<nil>"),
        st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    )  # fmt: skip
    fields = {name: data.draw(value) for name in names}
    found = record(fields)
    told = repr(found)
    for name, held in fields.items():
        if (
            held not in (None, "", "<nil>")
            and found["extra"].get(name) != held
            and type(held) in (list, dict, float, bool)
        ):
            pytest.fail(f"{name}={held!r} is nowhere in {told}")


def test_what_stands_under_a_taken_name_is_kept_beside_it() -> None:
    """A name met twice holds both values as a list; a known one, each that could not be used."""
    made = build(
        {**BASE, "X": 1, "Ip": "garbage"},
        beside={"X": Several([2, 3]), "Ip": "other", "request_id": Several(["b", "c"])},
    )
    assert made["extra"] == {"X": [1, 2, 3], "Ip": ["other", "garbage"], "request_id": ["b", "c"]}


@pytest.mark.parametrize(
    ("fields", "key", "value", "extra"),
    [
        ({"IP": "garbage", "Ip": "1.2.3.4"}, "ip", "1.2.3.4", {"IP": "garbage"}),
        ({"Ip": "garbage", "IP": "1.2.3.4"}, "ip", "1.2.3.4", {"Ip": "garbage"}),
        ({"Ip": "1.2.3.4", "IP": "5.6.7.8"}, "ip", "5.6.7.8", {"Ip": "1.2.3.4"}),
        ({"DisconnectReason": 5, "CloseReason": "x"}, "disconnect_reason", "x", {"DisconnectReason": 5}),
        ({"ConnectionStatus": "odd", "ConnectionAction": "disconnect"}, "status", "disconnected", {"ConnectionStatus": "odd"}),
    ],
)  # fmt: skip
def test_the_first_name_that_holds_a_usable_value_wins(
    fields: dict[str, Any], key: str, value: Any, extra: dict[str, Any]
) -> None:
    """And what the other name holds is kept."""
    made = record(fields)
    assert made[key] == value
    assert made["extra"] == extra


def test_a_type_beside_an_app_without_a_method_is_told_by_the_connection() -> None:
    """As it is where no app is named."""
    made = record({"Type": "goland", "AppNameOrPort": "x", "ConnectionID": OTHER})
    assert (made["type"], made["method"], made["app"]) == ("goland", "ssh", "goland")


@pytest.mark.parametrize("scope", ["a b", "<script>", "x\x1b[1m", "a" * 65, "\u00e9", 'a"b'])
def test_a_zone_that_is_no_interface_makes_no_address(scope: str) -> None:
    """Python takes any text behind the percent sign."""
    made = record({"Ip": f"fe80::1%{scope}"})
    assert made["ip"] is None
    assert made["extra"] == {"Ip": f"fe80::1%{scope}"}
    assert record({"Ip": "fe80::1%eth0.1"})["ip"] == "fe80::1%eth0.1"
