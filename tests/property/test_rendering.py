"""What is rendered is what the careful way gives: whatever a line says, and whatever lines were met before it."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from shipper.extraction import Extractor
from shipper.framing.chain import Entry
from shipper.memo import Cache
from shipper.recognition import Recogniser
from shipper.record import Encoded, Malformed, Record, Source, Yield, encoded
from tests.property.hostile import events
from tests.render import entry as entries
from tests.render.human import human
from tests.render.jsonlike import json
from tests.truth.corpus import FILES, SMALL

SOURCE = Source("host", "file", '/var/log/"offset":9007199254740991.log', meta={"pod": "a"})
OFFSET = 7
SINKS = (human, json)
QUIET = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def careful(raw: bytes, compact: bool) -> Encoded | None:
    """The record by a recogniser that has met nothing, None where there is none."""
    verdict = Recogniser(SOURCE, compact=compact).verdict(Entry(raw, OFFSET, 1, len(raw)))
    return encoded(verdict) if isinstance(verdict, Record) else None


def rendering(recogniser: Recogniser, raw: bytes) -> Encoded | None:
    """The text of a line's record, which is what the record is that is made at once."""
    text, made = recogniser._renderer.render(raw, OFFSET), recogniser.render(raw, OFFSET)
    assert made == (None if text is None else text.record()), raw
    return text


def assert_decoded(found: Yield, text: Yield) -> None:
    """The same, but for the form of the records."""
    assert found.encoded == []
    assert found.made == text.records
    assert msgspec.structs.replace(found, made=[], encoded=text.encoded) == text


def lines_of(path: Path) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in path.read_bytes().split(b"\n") if b"connection_log" in line]


def trained(lines: list[bytes], compact: bool) -> Recogniser:
    """A recogniser that has met each line three times."""
    recogniser = Recogniser(SOURCE, compact=compact, decoded=True)
    for line in lines * 3:
        recogniser.verdict(Entry(line, OFFSET, 1, len(line)))
    return recogniser


LINES = [line for path in SMALL if path.stem.startswith(("json", "human")) for line in lines_of(path)]
TRAINED = {compact: trained(LINES, compact) for compact in (False, True)}


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("stem", ["json-seed", "json-v3", "json-new", "human-seed", "human-v3", "human-new"])
def test_lines_of_a_kind_that_came_before_are_rendered(stem: str, compact: bool) -> None:
    """Nearly every genuine line of one physical line, and each as the careful way has it."""
    path = max((path for path in FILES if path.stem == stem), key=lambda path: path.stat().st_size)
    # Old human sinks print an address for a trace, which is no usual thing.
    lines = [line for line in lines_of(path) if careful(line, compact) is not None and b"trace=0x" not in line]
    recogniser = trained(lines, compact)
    rendered = [rendering(recogniser, line) for line in lines]
    assert sum(found is not None for found in rendered) >= 0.9 * len(lines) - 1
    for line, found in zip(lines, rendered, strict=True):
        assert found in (None, careful(line, compact)), line


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A genuine line in which some bytes, or whole fields, are others'."""
    raw = draw(st.sampled_from(LINES))
    between = b',"' if raw.startswith(b"{") else b"  "
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            fields, others = raw.split(between), draw(st.sampled_from(LINES)).split(between)
            at = draw(st.integers(0, len(fields) - 1))
            fields[at : at + draw(st.integers(0, 2))] = [draw(st.sampled_from(others))]
            raw = between.join(fields)
        else:
            at = draw(st.integers(0, len(raw)))
            over = min(len(raw), at + draw(st.integers(0, 3)))
            put = draw(st.one_of(
                st.sampled_from([
                    b'"', b"\\", b",", b'","', b"  ", b" ", b"=", b"\\u003c", b"\\x41", b"null", b"<nil>", b'""', b"0", b"-1", b"1e9",
                    b"true", b"[]", b"{}", b"\n", b"\r", b"\t", b"\x7f", b"\xc2\x85", b"\xff", "é".encode(), "٣".encode(), b"Z", b"z",
                    b"+00:00", b".", b":", b"}", b" ...", b"\\ud800", b"A", b"\x1b[0m", b"12345678901234567890",
                    b"a", b"e5", b"f",
                ]),
                st.binary(max_size=3),
            ))  # fmt: skip
            raw = raw[:at] + put + raw[over:]
    return raw


@given(damaged(), st.booleans())
@QUIET
def test_a_damaged_line_is_rendered_as_the_careful_way_has_it_or_not_at_all(raw: bytes, compact: bool) -> None:
    """Whatever stands in the place of a field, or of a piece of it."""
    rendered = rendering(TRAINED[compact], raw)
    event("rendered" if rendered is not None else "left")
    if rendered is not None:
        assert rendered == careful(raw, compact)


@given(
    st.lists(st.tuples(events(), st.integers(0, 1), st.sampled_from(entries.ERAS)), min_size=1, max_size=4),
    st.booleans(),
)
@QUIET
def test_hostile_values_are_rendered_as_the_careful_way_has_them(
    parts: list[tuple[entries.Entry, int, str]], compact: bool
) -> None:
    """Lines full of look-alikes, met often enough that each has its shape, give what they give at first sight."""
    data = b"".join(SINKS[sink](one, era) for one, sink, era in parts)
    usual, slow = (Extractor(SOURCE, compact=compact) for _ in range(2))
    slow._render = slow._usual = None
    whole = Extractor(SOURCE, compact=compact, decoded=True)
    for _ in range(4):
        found, expected = usual.feed(data), slow.feed(data)
        assert_decoded(whole.feed(data), found)
        assert (found.encoded, found.originals, found.malformed) == (
            expected.encoded,
            expected.originals,
            expected.malformed,
        )
        assert (found.entries, found.not_ours, found.lookalikes) == (
            expected.entries,
            expected.not_ours,
            expected.lookalikes,
        )
        assert found.drift == expected.drift


UUIDS = st.uuids().map(str)
FIELDS: dict[str, st.SearchStrategy[str | None]] = {
    "ID": UUIDS,
    "Time": st.integers(0, 999_999).map(lambda n: f"2026-02-01T00:00:00.{n:06}Z".replace("0Z", "Z")),
    "ConnectionStatus": st.sampled_from(["connected", "disconnected"]),
    "request_id": st.one_of(UUIDS, st.sampled_from(["", "null", "abc", None])),
    "ConnectionID": st.one_of(UUIDS, st.none()),
    "ClientSessionID": st.one_of(UUIDS, st.sampled_from(["", None])),
    "WorkspaceName": st.sampled_from(["dev", "a b"]),
    "Type": st.sampled_from(["ssh", "vscode"]),
    "Colour": st.sampled_from(["red", ""]),
}


def written(form: str, fields: dict[str, str | None]) -> bytes:
    """A line with these fields in their order."""
    if form == "json":
        head = '{"ts":"2026-02-01T00:00:00.008740171Z","level":"INFO","msg":"connection_log","caller":"c","func":"f",'
        made = ",".join(f'"{key}":' + ("null" if value is None else f'"{value}"') for key, value in fields.items())
        return f'{head}"logger_names":["coderd"],"fields":{{{made}}}}}'.encode()
    quoted = {key for key, value in fields.items() if value == "" or key == "Time" or " " in (value or "")}
    pairs = (
        f'{key}="{value}"' if key in quoted else f"{key}={'<nil>' if value is None else value}"
        for key, value in fields.items()
    )
    return f"2026-02-01 00:00:00.008 [info]  coderd: connection_log  {'  '.join(pairs)}".encode()


@QUIET
@given(st.sampled_from(["json", "human"]), st.booleans(), st.data())
def test_fields_in_any_order_are_rendered_as_the_careful_way_has_them(
    form: str, compact: bool, data: st.DataObject
) -> None:
    """Also where only one run stands between those that are new in each, or none of these can be null."""
    others = data.draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=9))
    keys = data.draw(st.permutations([*dict.fromkeys(["ID", "Time", "ConnectionStatus", *others])]))
    recogniser = Recogniser(SOURCE, compact=compact, decoded=True)
    for _ in range(4):
        raw = written(form, {key: data.draw(FIELDS[key]) for key in keys})
        found = rendering(recogniser, raw)
        event("rendered" if found is not None else "left to the careful way")
        assert found in (None, careful(raw, compact)), raw
        verdict = recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))
        assert (encoded(verdict) if isinstance(verdict, Record) else None) == careful(raw, compact), raw


ODD_IDS = ["", None, "x" * 36, "é" * 36, "0E8CE218-3126-4F13-B45F-2577C57FB8C7", "0e8ce218-3126-4f13-b45f-2577c57fb8c"]
WORKSPACES: dict[str, st.SearchStrategy[str | None]] = {
    **dict.fromkeys(
        ["OrganizationID", "WorkspaceOwnerID", "WorkspaceID"],
        st.one_of(UUIDS, UUIDS, UUIDS, UUIDS, st.sampled_from(ODD_IDS)),
    ),
    "WorkspaceName": st.sampled_from(["dev", "a_b-c.d", "0", "-", "null", "a b", "é", "", None, "x" * 3000]),
    "AgentName": st.sampled_from(["main", "", None]),
}


@QUIET
@given(st.sampled_from(["json", "human"]), st.booleans(), st.data())
def test_a_workspace_is_rendered_as_the_careful_way_has_it(form: str, compact: bool, data: st.DataObject) -> None:
    """Whatever its fields hold, in whatever order they stand, and whichever of them are missing."""
    whole = data.draw(st.booleans())
    keys = data.draw(st.permutations(sorted(WORKSPACES))) if whole else data.draw(
        st.lists(st.sampled_from(sorted(WORKSPACES)), unique=True, min_size=3)
    )  # fmt: skip
    recogniser = Recogniser(SOURCE, compact=compact, decoded=True)
    for _ in range(5):
        fields = {"ID": data.draw(FIELDS["ID"]), **{key: data.draw(WORKSPACES[key]) for key in keys}}
        fields |= {"Time": "2026-02-01T00:00:00.5Z", "ConnectionStatus": "connected"}
        raw = written(form, fields)
        found = rendering(recogniser, raw)
        event("rendered" if found is not None else "left to the careful way")
        assert found in (None, careful(raw, compact)), raw
        recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))


@pytest.mark.parametrize("form", ["json", "human"])
def test_of_workspaces_as_they_mostly_are_nothing_is_remembered(form: str) -> None:
    """There may be any number, and none is looked up."""
    recogniser = Recogniser(SOURCE, compact=True, decoded=True)
    for number in range(100):
        id_ = f"c4bb86c3-d1c4-4710-9c34-4c4189eb2f{number:02x}"
        fields = dict.fromkeys(("ID", "OrganizationID", "WorkspaceOwnerID", "WorkspaceID"), id_)
        raw = written(form, {
            **fields, "WorkspaceName": f"dev-{number}", "AgentName": "main", "Time": "2026-02-01T00:00:00.5Z",
            "ConnectionStatus": "connected",
        })  # fmt: skip
        assert rendering(recogniser, raw) == (careful(raw, compact=True) if number >= 2 else None)
        recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))
    memos = recogniser._renderer._makers[form]._memos
    assert [len(memos[key, "", ""]) for key in ("OrganizationID", "WorkspaceName")] == [0, 0]
    assert len(memos["AgentName", "", ""]) == 1


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize(
    "keys", ["ID Time ConnectionStatus", "ID WorkspaceName ConnectionStatus Time", "ConnectionStatus ID Time"]
)
def test_lines_of_one_run_are_rendered_once_they_were_met(form: str, keys: str) -> None:
    values = {"Time": "2026-02-01T00:00:00.008171Z", "ConnectionStatus": "connected", "WorkspaceName": "dev"}
    recogniser = Recogniser(SOURCE, compact=False, decoded=True)
    for number in range(4):
        id_ = f"c4bb86c3-d1c4-4710-9c34-4c4189eb2f{number:02x}"
        raw = written(form, {key: values.get(key, id_) for key in keys.split()})
        found = rendering(recogniser, raw)
        assert (found is not None) == (number >= 2)
        assert found in (None, careful(raw, compact=False))
        assert isinstance(recogniser.verdict(Entry(raw, OFFSET, 1, len(raw))), Record)


@pytest.mark.parametrize("value", ['a"b', '<n"l>', 'a"b"c"', 'x"'])
def test_a_quote_that_nothing_closes_is_told_whatever_was_met_before(value: str) -> None:
    """Python before 3.11.5 takes what a possessive group began for matched."""
    line = '2026-02-01 00:00:00.123 [info]  coderd: connection_log  ID={}  X={}  Y=""  Time="2026-02-01T00:00:00.1Z"'
    line += "  ConnectionStatus=connected"
    recogniser = Recogniser(SOURCE, decoded=True)
    id_ = "c4bb86c3-d1c4-4710-9c34-4c4189eb2f1e"
    for _ in range(3):
        recogniser.verdict(Entry(line.format(id_, "y").encode(), OFFSET, 1, 300))
    raw = line.format(id_, value).encode()
    assert rendering(recogniser, line.format(id_, "y").encode()) is not None
    assert rendering(recogniser, raw) is None
    verdict = recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))
    assert isinstance(verdict, Malformed)
    assert "quote" in verdict.reason


def test_what_is_remembered_of_fields_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of workspaces, and records stay right."""
    monkeypatch.setattr("shipper.memo.CACHE_MAX_BYTES", 20_000)
    line = next(line for line in LINES if line.startswith(b"{") and b'"WorkspaceName":"' in line)
    head, _, rest = line.partition(b'"WorkspaceName":"')
    tail = rest[rest.index(b'"') :]
    recogniser = trained([line], compact=True)
    for number in range(500):
        # With a blank: a plain name is not looked up.
        named = b'%b"WorkspaceName":"w %d%b' % (head, number, tail)
        assert rendering(recogniser, named) == careful(named, compact=True)
    memos = recogniser._renderer._makers["json"]._memos
    assert len(memos["WorkspaceName", "", ""]) < 100
    huge = b'%b"WorkspaceName":"%b%b' % (head, b"x" * 5000, tail)
    assert rendering(recogniser, huge) == careful(huge, compact=True)
    assert all(len(field) < 1024 for field in memos["WorkspaceName", "", ""])


def test_runs_that_come_once_take_no_room() -> None:
    """Of what the fields between the ids say together, only what comes again is remembered."""
    recogniser = trained([json_line(_JSON)], compact=True)
    (shape,) = recogniser._renderer._makers["json"]._shapes.values()
    remembered = len(shape.runs)
    for times in (1, 2):
        for number in range(100):
            raw = json_line([_JSON[0], f'"Type":"app-{number}"', *_JSON[2:]])
            recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))  # now the type is no news
            found = [rendering(recogniser, raw) for _ in range(times)]
            assert found == [careful(raw, compact=True)] * times
        assert len(shape.runs) == remembered + 100 * (times - 1)


def test_a_field_that_nobody_knows_is_rendered_into_extra() -> None:
    """A newer coderd costs no speed: its lines are rendered too, with what is unknown under its own name."""
    line = next(
        line for line in LINES if line.startswith(b'{"ts"') and line.endswith(b'"ConnectionStatus":"connected"}}')
    )
    newer = line[:-2] + b',"Region":"eu","Hops":3,"Note":null}}'
    recogniser = trained([newer], compact=False)
    rendered = rendering(recogniser, newer)
    assert rendered is not None
    assert rendered == careful(newer, compact=False)
    assert rendered.record().extra == {"Region": "eu", "Hops": 3, "Note": None}
    assert recogniser.normaliser.take_drift() == ["key:Region", "key:Hops", "key:Note"]


_HEAD = '"level":"INFO","msg":"connection_log","caller":"c:1","func":"f","logger_names":["coderd"],'
_IDS = '"trace":"c21b75496dccd98bd991d85de5c8b16e","span":"306ce55392dce8ad",'
_ID = "c2d6a0c2-0000-4000-8000-000000000001"
_JSON = [
    f'"ID":"{_ID}"', '"Type":"ssh"', '"ConnectionID":null', '"ClientSessionID":"c"', '"request_id":"r"',
    '"Time":"2025-07-03T06:57:16.1Z"', '"ConnectionStatus":"connected"',
]  # fmt: skip
_TRACED = ["trace=c21b75496dccd98bd991d85de5c8b16e", "span=306ce55392dce8ad"]
_HUMAN = [
    f"ID={_ID}", "Type=ssh", "ConnectionID=<nil>", 'DisconnectReason=""', "request_id=r",
    'Time="2025-07-03T06:57:16.1Z"', "ConnectionStatus=connected",
]  # fmt: skip


def json_line(fields: list[str], head: str = _HEAD) -> bytes:
    return f'{{"ts":"2025-07-03T06:57:16.144719Z",{head}"fields":{{{",".join(fields)}}}}}'.encode()


def human_line(fields: list[str], stamp: str = "2025-07-03 06:57:16.144") -> bytes:
    return "  ".join([f"{stamp} [info]  coderd: connection_log", *fields]).encode()


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    ("met", "raw"),
    [
        pytest.param(json_line(_JSON), json_line(_JSON, f'"ts":"2026-01-01T00:00:00Z",{_HEAD}'), id="time twice"),
        pytest.param(json_line(_JSON, _HEAD + _IDS), json_line(_JSON, f'"span":"x",{_HEAD}{_IDS}'), id="span twice"),
        pytest.param(
            json_line(_JSON, _HEAD + _IDS), json_line(_JSON, f'"trace":null,{_HEAD}{_IDS}'), id="no trace, and one"
        ),
        pytest.param(
            json_line(_JSON, _HEAD + _IDS), json_line(_JSON, f'"\\u0074race":"x",{_HEAD}{_IDS}'), id="trace in escapes"
        ),
        pytest.param(
            json_line(_JSON),
            json_line(_JSON, _HEAD.replace('"coderd"', f'"coderd",{"[" * 1000}{"]" * 1000}')),
            id="logger nested a thousand times",
        ),
        pytest.param(
            json_line(_JSON),
            json_line([*_JSON[:5], '"Time":"2025-07-03 06:57:16.1 +0000 \x01"', _JSON[6]]),
            id="control character for a zone",
        ),
        pytest.param(
            json_line(_JSON),
            json_line([*_JSON[:2], '"ConnectionID":null ClientSessionID":""', '"request_id":"foo', '"b"', *_JSON[5:]]),
            id="two fields in the place of one",
        ),
        pytest.param(json_line([*_JSON, '"a\\"b":1']), json_line([*_JSON, '"a"b":1']), id="name with a quote"),
        pytest.param(json_line([*_JSON, '"a\\tb":1']), json_line([*_JSON, '"a\tb":1']), id="name with a tab"),
        pytest.param(human_line([*_HUMAN, '"a b"=1']), human_line([*_HUMAN, "a b=1"]), id="name with a blank"),
        pytest.param(
            human_line([*_TRACED, *_HUMAN[:3], 'DisconnectReason="x', "ID=1", 'b=c"', *_HUMAN[4:]]),
            human_line([*_TRACED, *_HUMAN[:3], "DisconnectReason=x", "ID=any thing", "b=c", *_HUMAN[4:]]),
            id="fields inside of a text",
        ),
        pytest.param(
            human_line(_HUMAN),
            human_line([_HUMAN[0], 'Type="ssh', "ConnectionID=<nil>", 'DisconnectReason=" ssh"', *_HUMAN[2:]]),
            id="what the next field begins with inside of a text",
        ),
        pytest.param(human_line(_HUMAN), human_line(_HUMAN[:-1]), id="no last field"),
        pytest.param(human_line(_HUMAN), human_line([*_HUMAN[:2], *_HUMAN[3:]]), id="no field that is new in each"),
        pytest.param(
            json_line([_JSON[4], *_JSON[:4], *_JSON[5:]]),
            json_line(['"requ3st_ib":"r"', *_JSON[:4], *_JSON[5:]]),
            id="another name of other hexadecimal digits",
        ),
        pytest.param(
            human_line([_HUMAN[4], *_HUMAN[:4], *_HUMAN[5:]]),
            human_line(["request_ia=r", *_HUMAN[:4], *_HUMAN[5:]]),
            id="another name of other hexadecimal digits, human",
        ),
        pytest.param(json_line(_JSON), json_line(_JSON)[:-1], id="one brace less"),
        pytest.param(json_line(_JSON), json_line([*_JSON, '"Type":"ssh"']), id="a field twice"),
        pytest.param(
            json_line(_JSON),
            json_line([f'"ID":"{_ID[:8]}\n{_ID[9:]}"', *_JSON[1:]]),
            id="line feed in the place of a dash",
        ),
        pytest.param(
            json_line(_JSON),
            json_line([*_JSON[:5], '"Time":"2025-07-03T06:57:1\n.1Z"', _JSON[6]]),
            id="line feed in a time",
        ),
        pytest.param(
            human_line(_HUMAN),
            human_line([f"ID={_ID[:8]}\n{_ID[9:]}", *_HUMAN[1:]]),
            id="line feed in an id",
        ),
        pytest.param(human_line(_HUMAN), human_line(_HUMAN, "2025-07-03 06:57:16.١٤٤"), id="digits of another script"),
        pytest.param(
            human_line(_HUMAN),
            human_line([*_HUMAN[:3], 'DisconnectReason="\x1b[0mx"', *_HUMAN[4:]]),
            id="colour in a text",
        ),
        pytest.param(
            human_line(_HUMAN), human_line(_HUMAN).replace(b"coderd:", b"coderd.\x1b[0mx:"), id="colour in the logger"
        ),
    ],
)
def test_what_only_looks_usual_is_read_with_care(met: bytes, raw: bytes, compact: bool) -> None:
    """Lines made to fit a shape that was met before, and to mean something else."""
    recogniser = trained([met, json_line(_JSON), json_line(_JSON, _HEAD + _IDS), human_line(_HUMAN)], compact)
    assert rendering(recogniser, human_line(_HUMAN)) is not None
    assert rendering(recogniser, raw) in (None, careful(raw, compact))
    verdict = recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))
    assert (encoded(verdict) if isinstance(verdict, Record) else None) == careful(raw, compact)


def test_lines_of_long_names_and_types_leave_nothing_behind() -> None:
    """Lines, each with names or a type of its own that fill a line, take no memory that stays."""
    extractor = Extractor(SOURCE)
    extractor.feed(json_line(_JSON) + b"\n")  # what is made once, at the first line
    tracemalloc.start()
    try:
        for number in range(60):
            long = f"{number:06}" * 20_000
            lines = json_line([*_JSON, f'"{long}":1']) + b"\n" + json_line([*_JSON[:1], f'"Type":"{long}"', *_JSON[2:]])
            assert len(extractor.feed(lines + b"\n").encoded) == 2
        remembered, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert remembered < 4 << 20


def test_sources_come_and_go_while_others_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that begin to read sources disturb none that has to forget all it remembered."""
    monkeypatch.setattr("shipper.memo.CACHE_MAX_BYTES", 1)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    failures: list[BaseException] = []
    done = threading.Event()

    def begin() -> None:
        caches = []
        while not done.is_set():
            caches.append(Cache())
            del caches[:-500]

    def forget() -> None:
        cache = Cache()
        try:
            for _ in range(500):
                cache.room(10)
        except RuntimeError as error:
            failures.append(error)
        finally:
            done.set()

    threads = [threading.Thread(target=work) for work in (begin, forget)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert not failures


def test_a_new_type_is_reported_of_events_alone() -> None:
    """A malformed line tells nothing of types; the same type in an event does, once."""
    recogniser = trained([json_line(_JSON)], compact=True)
    newer = [_JSON[0], '"Type":"zeppelin"', *_JSON[2:]]
    broken = json_line([*newer[:6], '"ConnectionStatus":"flying"'])
    sound = json_line(newer)
    for raw, drift in ((broken, ["status:flying"]), (sound, ["type:zeppelin"]), (sound, [])):
        verdict = rendering(recogniser, raw) or recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))
        assert isinstance(verdict, Malformed) == (raw is broken)
        assert recogniser.normaliser.take_drift() == drift
    assert rendering(recogniser, sound) is not None


@pytest.mark.parametrize(
    "head", [f'"version":"2.40",{_HEAD}', f'{_HEAD}"version":null,', f'{_HEAD}"version":{{"a":1}},']
)
def test_a_new_key_of_the_header_is_kept_and_reported(head: str) -> None:
    """What a newer logger writes beside the fields is drift as well, each time in the record and once in the report."""
    extractor = Extractor(SOURCE)
    found = [extractor.feed(json_line(_JSON, head) + b"\n") for _ in range(3)]
    assert [list(one.records[0].extra) for one in found] == [["version"]] * 3
    assert [one.drift for one in found] == [["key:version"], [], []]


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize("reason", ["EOF,", ",", "a  b", '"a"', "}}", "null", "<nil>", "2", "", "x=y", " ", "\\"])
def test_a_field_alone_between_ids_is_read_whole(form: str, reason: str) -> None:
    """What would part two fields may stand in its text, and what ends a line too."""
    recogniser = Recogniser(SOURCE, compact=True, decoded=True)

    def line(number: int, **fields: str | None) -> bytes:
        id_ = f"c4bb86c3-d1c4-4710-9c34-4c4189eb2f{number:02x}"
        time = "2026-02-01T00:00:00.5Z"
        values: dict[str, str | None] = {"ID": id_, "ConnectionStatus": "connected", "ConnectionID": id_}
        values |= {"DisconnectReason": "EOF", "Time": time, "SessionID": id_, "Ip": "1.2.3.4"}
        return written(form, values | fields)

    for number in range(3):
        raw = line(number)
        recogniser.verdict(Entry(raw, OFFSET, 1, len(raw)))
    for key in ("DisconnectReason", "Ip", "ConnectionStatus"):
        raw = line(4, **{key: reason})
        assert rendering(recogniser, raw) in (None, careful(raw, compact=True))
    assert rendering(recogniser, line(5, DisconnectReason="EOF,")) is not None


@pytest.mark.parametrize("piece_bytes", [997, 1 << 20])
@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.name)
def test_records_are_what_their_text_says(path: Path, piece_bytes: int) -> None:
    """Of every wrapper and form, whole and in pieces, the first time and when all its shapes were met."""
    text, whole = Extractor(SOURCE), Extractor(SOURCE, decoded=True)
    data = path.read_bytes() * 3
    for at in range(0, len(data), piece_bytes):
        piece = data[at : at + piece_bytes]
        assert_decoded(whole.feed(piece), text.feed(piece))
    assert_decoded(whole.flush(final=True), text.flush(final=True))
    assert (whole.offset, whole.line, whole.carry) == (text.offset, text.line, text.carry)
