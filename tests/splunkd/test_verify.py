"""``connlog splunk verify`` tells exactly what differs between what was delivered and what Splunk holds."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.cli.main import main
from shipper.index import IndexWriter
from shipper.journal import Change, DeliveredLedger, Handed, Journal, Receipt
from shipper.record import CompactRecord, Record, Source, encode_record
from shipper.splunk import inventory
from shipper.splunk.inventory import Inventory, Place
from shipper.splunk.management import Management
from shipper.splunk.resend import compact
from shipper.splunk.transport import read_server
from shipper.splunk.verification import Result, Verification
from shipper.timestamp import from_ns
from tests.splunkd.server import Fault, Splunkd
from tests.splunkd.world import BEARER, Event, World

HOUR = 3600
NOW = int(time.time())
START = NOW - NOW % HOUR - 6 * HOUR
NS = 1_000_000_000


def id_of(number: int) -> str:
    return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


def record(number: int, at: float) -> Record:
    return CompactRecord(
        1, id_of(number), from_ns(int(at * NS)), "connected", type="ssh", source=Source(host="coder-0")
    )


class Scene:
    """A state folder with a journal, its ledger and an index, and a Splunk beside it."""

    def __init__(self, folder: Path, splunk: Splunkd) -> None:
        self.folder, self.splunk = folder, splunk
        self.delivered_ns = (NOW - HOUR) * NS
        """When what is delivered from now on was."""
        self.journal = Journal(folder / "journal.db", now_ns=lambda: self.delivered_ns)
        self.journal.register("index")
        self.journal.register("splunk_hec")
        self.records: list[Record] = []
        self.config = folder / "connlog.toml"
        self.config.write_text(f'[state]\ndir = "{folder}"\n')
        self.auth = folder / "auth"
        self.auth.write_text(BEARER)
        self.auth.chmod(0o600)

    def deliver(self, *events: tuple[int, float], output: str = "splunk_hec") -> None:
        """Note events as delivered: number and time."""
        self.records += [record(number, at) for number, at in events]
        self.journal.outbox(output).write(Change(handed=handed(events)))

    def hold(self, number: int, at: float, *, times: int = 1, **more: object) -> None:
        """Put an event into Splunk."""
        self.splunk.world.events += [Event(id_of(number), at, time.time(), **more) for _ in range(times)]  # type: ignore[arg-type]

    def index_all(self) -> None:
        """Put every delivered event into the local index too."""
        with closing(IndexWriter(self.folder / "index.db")) as writer:
            writer.add(writer.cursor + 1, self.records, [b"line"] * len(self.records), stored_ns=NOW * NS)

    def put_back(self) -> list[str]:
        """The ids that wait to be sent again."""
        parcel = self.journal.outbox("splunk_hec").put_back(0)
        return [] if parcel is None else [json.loads(line)["id"] for line in parcel.lines]

    def verify(self, *more: str) -> int:
        known = ["--url", self.splunk.url, "--auth-token-file", str(self.auth), "-c", str(self.config)]
        return main(["splunk", "verify", *known, "--since", str(from_ns(START * NS)), *more])


def handed(events: tuple[tuple[int, float], ...]) -> Handed:
    ids = b"".join(uuid.UUID(id_of(number)).bytes for number, _ in events)
    return Handed(ids, [from_ns(int(at * NS)).encode() for _, at in events])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Splunkd(World()) as splunk:
        made = Scene(tmp_path, splunk)
        yield made
        made.journal.close()


def test_equal_hours_are_not_asked_for_by_id(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(50):
        scene.deliver((number, START + number * 300))
        scene.hold(number, START + number * 300)
    assert scene.verify() == 0
    assert capsys.readouterr().out == "OK: delivered 50, in Splunk 50; missing 0, double 0, unknown 0\n"
    assert sum("export" in one.path for one in scene.splunk.asked) == 1


def test_what_is_missing_double_and_unknown_is_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.deliver((1, START + 1.5), (2, START + 2), (3, START + HOUR + 3), (4, START + 2 * HOUR))
    scene.deliver((4, START + 2 * HOUR))
    scene.hold(2, START + 2, times=3)
    scene.hold(3, START + HOUR + 3)
    scene.hold(4, START + 2 * HOUR, times=2)
    scene.hold(9, START + 9)
    assert scene.verify() == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line[:4] in ("miss", "doub", "unkn")] == [
        ["missing", id_of(1)],
        *sorted([["double", id_of(2)], ["double", id_of(4)]]),
        ["unknown", id_of(9)],
    ]
    assert any(id_of(4) in line and "2 times, delivered 2 times" in line for line in lines)
    assert lines[-1] == "DIFFERENT: delivered 4, in Splunk 4; missing 1, double 2, unknown 1"


def test_a_swap_within_an_hour_is_seen_though_the_counts_are_equal(scene: Scene) -> None:
    scene.deliver((1, START + 1), (2, START + 2))
    scene.hold(1, START + 1)
    scene.hold(3, START + 2)
    assert scene.verify() == 1


def test_the_forms_for_programs_say_the_same(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.deliver((1, START + 1))
    scene.hold(9, START + 9)
    assert scene.verify("--output", "json") == 1
    whole = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in whole["missing"]] == [id_of(1)]
    assert whole["unknown"] == [id_of(9)]
    assert scene.verify("--output", "ndjson") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["kind"] for row in rows] == ["hour", "missing", "unknown"]
    assert rows[0] == {"kind": "hour", "hour": START, "sent": 1, "held": 1, "compared": True}


def test_missing_events_are_put_back_into_the_queue(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """With all that the record holds; what the index does not have any more is told."""
    scene.deliver((1, START + 1), (2, START + 2), (3, START + 3))
    scene.hold(2, START + 2)
    scene.index_all()
    scene.deliver((4, START + 4))
    assert scene.verify("--resend") == 1
    told = capsys.readouterr().err
    assert "2 missing events were put back" in told
    assert "1 are not in the local index any more" in told
    assert scene.put_back() == [id_of(1), id_of(3)]
    parcel = scene.journal.outbox("splunk_hec").put_back(0)
    assert parcel is not None
    assert parcel.lines[0] == encode_record(compact(scene.records[0]))
    assert scene.verify("--resend") == 1
    told = capsys.readouterr().err
    assert "0 missing events were put back" in told
    assert "2 wait there already" in told
    assert scene.put_back() == [id_of(1), id_of(3)]
    assert scene.journal.outbox("splunk_hec").put_back_count() == 2


def test_nothing_is_put_back_on_a_doubtful_answer(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Splunk warns that peers did not answer: what seems missing may be there."""
    scene.deliver((1, START + 1))
    scene.index_all()
    scene.splunk.world.search_messages = [("WARN", "Unable to distribute to peer idx-2\x1b[2J")]
    assert scene.verify("--resend") == 4
    told = capsys.readouterr().err
    assert "peer idx-2" in told
    assert "\x1b" not in told
    assert scene.put_back() == []


def test_a_search_that_fails_is_no_answer(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.deliver((1, START + 1))
    scene.splunk.world.search_messages = [("FATAL", "Unknown index")]
    assert scene.verify() == 4
    assert "the search failed: Unknown index" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault",
    [
        Fault("export", body=b"not json\n", content_type="application/json"),
        Fault("export", body=b'{"result":{"hour":"x"}}\n', content_type="application/json"),
        Fault("export", body=b"[]\n", content_type="application/json"),
        Fault("export", status=400, body=b'{"messages":[{"type":"FATAL","text":"bad"}]}'),
        Fault("export", cut=True),
    ],
    ids=["text", "row", "list", "refused", "cut"],
)
def test_an_odd_answer_is_an_error_and_never_a_result(
    fault: Fault, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.deliver((1, START + 1))
    scene.hold(1, START + 1)
    scene.splunk.faults = [fault]
    assert scene.verify() == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "warning:" not in line] == err.splitlines()[-1:]


def test_only_the_events_of_this_output_index_source_type_and_host_count(scene: Scene) -> None:
    scene.deliver((1, START + 1))
    scene.hold(1, START + 1)
    scene.hold(2, START + 1, index="other")
    scene.hold(3, START + 1, sourcetype="another")
    scene.hold(4, START + 1, host="coder-9")
    scene.journal.register("second")
    assert scene.verify("--index", "coder", "--host", "coder-0") == 0
    assert scene.verify("--index", "coder") == 1
    assert scene.verify("--index", "coder", "--index", "other", "--host", "coder-0") == 1
    assert scene.verify("--index", 'x" OR 1=1') == 2


def test_one_of_several_outputs_must_be_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.journal.register("second")
    scene.deliver((1, START + 1))
    scene.deliver((2, START + 1), output="second")
    assert scene.verify() == 2
    assert "second" in capsys.readouterr().err
    assert scene.verify("--name", "nobody") == 2
    scene.hold(2, START + 1)
    assert scene.verify("--name", "second") == 0


def test_an_event_between_two_hours_may_be_counted_in_either(scene: Scene) -> None:
    """Splunk keeps microseconds: what was rounded up to the next hour is found there."""
    scene.deliver((1, START + HOUR - 0.0000001))
    scene.hold(1, START + HOUR)
    assert scene.verify() == 0


def test_what_was_indexed_before_the_ledger_begins_is_not_called_unknown(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.deliver((1, START + 1))
    scene.hold(1, START + 1)
    scene.splunk.world.events.append(Event(id_of(7), START + 7, START - 86400))
    assert scene.verify() == 0
    assert "1 events were indexed before that" in capsys.readouterr().err


def test_where_nothing_was_delivered_there_is_nothing_to_be_content_with(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.hold(1, START + 1)
    assert scene.verify() == 1
    assert "nothing can be compared" in capsys.readouterr().err


def test_what_waits_for_its_acknowledgement_is_told(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.deliver((2, START + 2))
    scene.hold(2, START + 2)
    scene.journal.outbox("splunk_hec").write(
        Change(handed=handed(((1, START + 1),)), receipt=Receipt("c", 0, 1, 0, ()))
    )
    scene.hold(1, START + 1)
    assert scene.verify() == 1
    assert "1 events wait for their acknowledgement" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code"),
    [(["--since", "1m"], 2), (["--since", "2000-01-01"], 2), (["--since", "soon"], 2), (["--until", "2h"], 0)],
)
def test_the_range_is_checked(more: list[str], code: int, scene: Scene) -> None:
    scene.deliver((1, START + 1))
    scene.hold(1, START + 1)
    assert scene.verify(*more) == code


def test_without_a_journal_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'[state]\ndir = "{tmp_path}/none"\n')
    assert main(["splunk", "verify", "--url", "http://127.0.0.1:1", "-c", str(config)]) == 4
    assert "none" in capsys.readouterr().err


def test_what_was_delivered_just_now_need_not_be_there_yet(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """After an outage old events are delivered late: they are neither called missing nor sent once more."""
    scene.deliver((1, START + 10), (2, START + 20))
    scene.hold(1, START + 10)
    scene.delivered_ns = time.time_ns()
    scene.deliver((3, START + 30))
    scene.index_all()
    assert scene.verify("--resend") == 1
    said = capsys.readouterr()
    assert "missing 1," in said.out
    assert "1 events are not there and were taken so lately" in said.err
    assert scene.put_back() == [id_of(2)]
    scene.hold(2, START + 20)
    assert scene.verify() == 1
    assert "NOT YET" in capsys.readouterr().out
    scene.hold(3, START + 30)
    assert scene.verify() == 0


def test_a_long_range_is_asked_for_piece_by_piece(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event is in one piece, wherever the pieces meet."""
    monkeypatch.setattr(inventory, "SPAN_SECONDS", HOUR)
    for number in range(60):
        at = START + 17 + number * 301
        scene.hold(number, at)
        scene.deliver((number, at))
    assert scene.verify("--until", from_ns((START + 6 * HOUR) * NS)) == 0
    assert sum("export" in one.path for one in scene.splunk.asked) >= 6


def test_a_full_hour_is_asked_for_in_slices(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each id is in one slice, whatever the bound."""
    monkeypatch.setattr(inventory, "IDS_TOGETHER", 10)
    for number in range(95):
        scene.hold(number, START + number * 37)
    scene.deliver((1000, START + 5))
    splunk = Management(read_server(scene.splunk.url, None, False, 30), BEARER)
    with closing(DeliveredLedger(scene.folder / "journal.db")) as ledger:
        found = compare(splunk, ledger)
    assert len(found.unknown) == 95
    assert [one.id for one in found.missing] == [id_of(1000)]
    assert sum("export" in one.path for one in scene.splunk.asked) > 10


def compare(splunk: Management, ledger: DeliveredLedger, until: int = NOW - 300) -> Result:
    held = Inventory(splunk, Place(("*",), ("coder:connection_log",)))
    return Verification(lambda low, high: ledger.events("splunk_hec", low, high), held, 0).run(START, until)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 10_000),
        st.tuples(st.integers(0, 4 * HOUR * 1000), st.integers(0, 2), st.integers(0, 3)),
        max_size=30,
    )
)
def test_any_difference_is_found_and_none_is_invented(events: dict[int, tuple[int, int, int]]) -> None:
    """Events with any time, delivered 0 to 2 times, held 0 to 3 times: the result is what the two sets say."""
    with TemporaryDirectory() as name, Splunkd(World()) as splunk:
        scene = Scene(Path(name), splunk)
        for number, (millis, sent, held) in events.items():
            for _ in range(sent):
                scene.deliver((number, START + millis / 1000))
            scene.hold(number, START + millis / 1000, times=held)
        client = Management(read_server(splunk.url, None, False, 30), BEARER)
        with closing(DeliveredLedger(Path(name) / "journal.db")) as ledger:
            found = compare(client, ledger)
        scene.journal.close()
    assert {one.id for one in found.missing} == {id_of(n) for n, (_, sent, held) in events.items() if sent and not held}
    assert set(found.unknown) == {id_of(n) for n, (_, sent, held) in events.items() if held and not sent}
    assert {(one.id, one.count) for one in found.doubled} == {(id_of(n), h) for n, (_, _, h) in events.items() if h > 1}
    assert found.sent == sum(1 for _, sent, _ in events.values() if sent)
    assert found.held == sum(1 for _, _, held in events.values() if held)
    assert found.good == (not found.missing and not found.unknown and not found.doubled)
