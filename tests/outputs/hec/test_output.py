"""The output loses no event, quarantines only the guilty, and counts every event that it may have doubled."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from shipper.config.kind import Route
from shipper.journal import DeliveredLedger
from shipper.record import Gap, Source
from shipper.service.dispatch import Dispatch
from shipper.timestamp import to_ns
from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token
from tests.outputs.hec.conftest import TIME, Rig, name, wait

DAY = 86_400_000_000_000


def told(rig: Rig) -> Counter[str]:
    """What the ledger says was delivered."""
    at = to_ns(TIME)
    with closing(DeliveredLedger(rig.folder / "journal.db")) as ledger:
        return Counter(str(event.id.hex()) for event in ledger.events("splunk_hec", at - DAY, at + DAY))


def test_every_event_arrives_once_and_stands_in_the_ledger(rig: Rig, server: HecServer) -> None:
    for first in range(0, 3000, 250):
        rig.append(*range(first, first + 250))
    rig.start(batch_max_events=100)
    assert rig.delivered()
    assert server.store.counts() == Counter(name(number) for number in range(3000))
    assert told(rig) == Counter(name(number).replace("-", "") for number in range(3000))
    state = rig.state()
    assert (state.sent, state.retried, state.possible_duplicates) == (3000, 0, 0)
    assert rig.dispatch is not None
    assert sum(rig.dispatch.latency.counts) == 30


def test_metadata_and_gaps_arrive(rig: Rig, server: HecServer) -> None:
    gap = Gap(1, "rotated_unread", Source(path="/f"), None, None, 5, False, TIME, "why")
    rig.append(1, 2, gaps=[gap], type="workspace_app")
    rig.start(index="main", route=(Route("type", ("workspace_app",), sourcetype="coder:web"),))
    assert rig.delivered()
    assert [(one.sourcetype, one.host, one.source) for one in server.events] == [
        ("coder:web", "coder-0", "/var/log/coder.json"),
        ("coder:web", "coder-0", "/var/log/coder.json"),
        ("connlog:gap", "127.0.0.1", "/f"),
    ]
    assert server.events[0].fields == {"event_id": name(1)}


def test_a_filter_chooses_and_what_it_leaves_out_holds_nothing_up(rig: Rig, server: HecServer) -> None:
    rig.append(1, 2, type="ssh")
    rig.append(3, type="tunnel", gaps=[Gap(1, "cursor_lost", Source(), detected=TIME)])
    rig.start(filter="type:tunnel", gaps=False)
    assert rig.delivered()
    assert set(server.store.counts()) == {name(3)}
    rig.append(4, type="ssh")
    assert rig.delivered()
    assert set(server.store.counts()) == {name(3)}
    assert rig.state().left_out == 3


def success_ns(dispatch: Dispatch) -> int | None:
    return dispatch.last_success_ns


def test_no_success_is_told_before_one_and_the_last_one_after_a_restart(rig: Rig, server: HecServer) -> None:
    rig.append(1, type="ssh")
    dispatch = rig.start(filter="type:tunnel", gaps=False)
    assert rig.delivered()  # nothing was for it
    assert success_ns(dispatch) is None
    rig.append(2, type="tunnel")
    assert rig.delivered()
    last = success_ns(dispatch)
    assert last is not None
    rig.stop()
    after = rig.start().last_success_ns
    assert after is not None
    assert abs(after - last) < 60_000_000_000
    assert next(one for one in rig.journal.outputs() if one.name == "splunk_hec").advanced_ns is not None


@pytest.mark.parametrize(
    "trouble",
    [
        fault.code(9), fault.code(26), fault.code(23), fault.code(18, retry_after="0"), fault.status(429), fault.reset_before(),
    ],
)  # fmt: skip
def test_what_was_not_taken_is_sent_again(rig: Rig, server: HecServer, trouble: fault.Fault) -> None:
    server.script.add(trouble, times=3)
    rig.append(*range(50))
    rig.start(in_flight=2)
    assert rig.delivered()
    assert server.store.counts() == Counter(name(number) for number in range(50))


@pytest.mark.parametrize(
    "trouble",
    [
        fault.code(8, take=True), fault.html(take=True), fault.html(502, take=True), fault.status(504, take=True),
        fault.status(408, take=True), fault.status(200, b"", take=True), fault.reset_after(take=True),
        fault.reset_in_answer(take=True), fault.status(200, b"{}", take=True),
    ],
)  # fmt: skip
def test_what_may_have_been_taken_is_sent_again_and_counted(rig: Rig, server: HecServer, trouble: fault.Fault) -> None:
    server.script.add(trouble, times=2)
    rig.append(*range(20))
    rig.start(in_flight=1)
    assert rig.delivered()
    assert set(server.store.counts()) == {name(number) for number in range(20)}
    assert server.store.duplicates() == rig.state().possible_duplicates == 40


def test_a_slow_answer_is_cut_as_a_whole(rig: Rig, server: HecServer) -> None:
    server.script.add(fault.hang(take=True))
    rig.append(1)
    rig.start(total_timeout_seconds=0.5, read_timeout_seconds=60.0)
    assert rig.delivered()
    assert (server.store.duplicates(), rig.state().possible_duplicates) == (1, 1)


@pytest.mark.parametrize(
    "answer", [fault.code(1), fault.code(4), fault.status(404), fault.status(407), fault.code(10), fault.status(301)]
)
def test_what_must_be_mended_holds_everything_and_goes_on_by_itself(
    rig: Rig, server: HecServer, answer: fault.Fault, caplog: pytest.LogCaptureFixture
) -> None:
    server.script.always(answer)
    rig.append(*range(10))
    with caplog.at_level(logging.WARNING):
        rig.start()
        assert wait(lambda: rig.state().held is not None)
    assert "holds everything until it is mended" in caplog.text
    assert rig.state().endpoints[0].state == "held"
    dispatch = rig.dispatch
    assert dispatch is not None
    assert dispatch.last_error is not None
    assert not len(server.store)
    server.script.clear()
    assert rig.delivered()
    assert server.store.duplicates() == 0
    assert rig.state().possible_duplicates == 0
    assert wait(lambda: dispatch.last_error is None)
    assert not rig.journal.quarantine()


def test_a_token_is_read_again_when_it_was_refused(rig: Rig, server: HecServer) -> None:
    rig.token.write_text("11111111-0000-0000-0000-000000000000\n")
    rig.append(1)
    rig.start(backoff_max_seconds=3600.0)
    assert wait(lambda: rig.state().held is not None)
    rig.token.write_text(TOKEN)
    assert rig.delivered()


def test_a_token_that_is_missing_is_waited_for(rig: Rig, server: HecServer) -> None:
    rig.token.unlink()
    rig.append(1)
    rig.start()
    assert wait(lambda: "hec-token" in (rig.state().held or ""))
    rig.token.write_text(TOKEN)
    assert rig.delivered()


def test_a_wrong_index_holds_everything_behind_it(tmp_path: Path) -> None:
    with HecServer(Token(indexes=frozenset({"main"})), indexes=["main", "web"]) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1, 2, 3)
        rig.append(4, type="tunnel")
        rig.append(5, 6)
        rig.start(route=(Route("type", ("tunnel",), index="web"),), in_flight=1)
        assert wait(lambda: rig.state().held is not None)
        assert "the index is web" in (rig.state().held or "")
        assert set(server.store.counts()) == {name(1), name(2), name(3)}
        server.tokens.put(Token())
        assert rig.delivered()
        assert server.store.counts() == Counter(name(number) for number in range(1, 7))
        assert rig.state().possible_duplicates == 0
        rig.close()


def test_only_the_guilty_event_goes_into_the_quarantine(rig: Rig, server: HecServer) -> None:
    server.script.add(fault.code(6, event_number=0))
    rig.append(1)
    rig.start(in_flight=1)
    assert rig.delivered()
    rig.append(*range(2, 12))
    assert rig.delivered()
    assert server.store.counts() == Counter(name(number) for number in range(2, 12))
    (kept,) = rig.journal.quarantine()
    assert (kept.output, kept.code) == ("splunk_hec", 6)
    assert name(1).encode() in kept.entry.raw
    assert rig.state().quarantined == 1


def test_an_event_that_is_too_large_is_found_and_the_others_arrive(tmp_path: Path) -> None:
    from tests.hec.body import Sizes

    with HecServer(sizes=Sizes(event_max_bytes=20_000)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1, 2)
        rig.append(3, user_agent="x" * 30_000)
        rig.append(4, 5)
        rig.start(in_flight=1)
        assert rig.delivered()
        assert server.store.counts() == Counter(name(number) for number in (1, 2, 4, 5))
        assert [kept.code for kept in rig.journal.quarantine()] == [6]
        rig.close()


def test_a_body_that_is_too_large_is_cut_before_anything_else(tmp_path: Path) -> None:
    from tests.hec.body import Sizes

    with HecServer(sizes=Sizes(content_max_bytes=40_000)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(1000))
        rig.start()
        assert rig.delivered()
        assert server.store.counts() == Counter(name(number) for number in range(1000))
        assert not rig.journal.quarantine()
        assert rig.state().possible_duplicates == 0
        rig.close()


def test_a_body_that_only_the_cloud_finds_too_large_is_cut_too(tmp_path: Path) -> None:
    from tests.hec.body import Sizes

    with HecServer(cloud=True, sizes=Sizes(content_max_bytes=1_500_000)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(100), user_agent="x" * 30_000)
        rig.start(batch_max_bytes=4 << 20)
        assert rig.delivered()
        assert server.store.counts() == Counter(name(number) for number in range(100))
        assert not rig.journal.quarantine()
        rig.close()


def test_what_waits_for_its_acknowledgement_is_not_delivered(tmp_path: Path) -> None:
    with HecServer(Token(use_ack=True), ack=AckRules(false_polls=2)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(100))
        rig.start(batch_max_events=10)
        assert wait(lambda: len(server.store) == 100)
        assert rig.delivered()
        assert (rig.state().ack, rig.state().ack_pending) == ("acknowledged", 0)
        assert server.store.duplicates() == 0
        assert len(told(rig)) == 100
        rig.close()


def test_after_a_restart_it_is_asked_for_again(tmp_path: Path) -> None:
    with HecServer(Token(use_ack=True), ack=AckRules(never=True)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(20))
        rig.start()
        assert wait(lambda: rig.state().ack_pending > 0 and len(server.store) == 20)
        rig.stop()
        assert not rig.empty()
        server.set_ack(AckRules())
        rig.start()
        assert rig.delivered()
        assert server.store.duplicates() == 0
        assert rig.state().possible_duplicates == 0
        assert rig.state().sent == 20
        rig.close()


def test_what_is_never_acknowledged_is_sent_again_one_request_at_a_time(tmp_path: Path) -> None:
    with HecServer(Token(use_ack=True), ack=AckRules(never=True)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(30))
        rig.start(batch_max_events=10, ack_timeout_seconds=1.0)
        assert wait(lambda: rig.state().possible_duplicates >= 30)
        assert "acknowledgement" in (rig.state().held or "")
        server.set_ack(AckRules())
        assert rig.delivered()
        assert set(server.store.counts()) == {name(number) for number in range(30)}
        assert 0 < server.store.duplicates() <= rig.state().possible_duplicates
        assert rig.state().held is None
        rig.close()


@pytest.mark.parametrize("answer", [fault.status(404), fault.code(8), fault.html(), fault.status(500)])
def test_an_ack_endpoint_that_fails_acknowledges_nothing(tmp_path: Path, answer: fault.Fault) -> None:
    with HecServer(Token(use_ack=True)) as server:
        server.script.always(answer, to="ack")
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        rig.start()
        assert server.wait(lambda: sum(seen.service == "ack" for seen in server.seen) >= 3, 20)
        assert not rig.empty()
        assert rig.state().ack_pending == 1
        server.script.clear()
        assert rig.delivered()
        assert server.store.duplicates() == 0
        rig.close()


def test_a_server_that_lost_its_memory_gets_it_again(tmp_path: Path) -> None:
    with HecServer(Token(use_ack=True), ack=AckRules(delay_seconds=3600)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1, 2)
        rig.start(in_flight=1)
        assert wait(lambda: rig.state().ack_pending == 1)
        server.restart(lose_unacknowledged=True)
        server.set_ack(AckRules())
        rig.append(3)
        assert rig.delivered()
        assert server.store.counts() == Counter([name(1), name(2), name(3)])
        assert rig.state().possible_duplicates == 2
        rig.close()


def test_required_sends_nothing_to_a_server_without_it(rig: Rig, server: HecServer) -> None:
    rig.append(1)
    rig.start(ack="required")
    assert wait(lambda: "acknowledgement" in (rig.state().held or ""))
    assert not len(server.store)
    server.tokens.put(Token(use_ack=True))
    assert rig.delivered()
    assert server.store.duplicates() == 0


def test_off_holds_at_a_token_that_needs_it_and_says_so(tmp_path: Path) -> None:
    with HecServer(Token(use_ack=True)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        rig.start(ack="off")
        assert wait(lambda: 'set ack = "auto"' in (rig.state().held or ""))
        assert not len(server.store)
        rig.close()


def test_auto_says_when_the_server_no_longer_acknowledges(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with HecServer(Token(use_ack=True)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        with caplog.at_level(logging.INFO):
            rig.start()
            assert rig.delivered()
            server.tokens.put(Token())
            rig.append(2)
            assert rig.delivered()
            assert "offers no acknowledgement any more" in caplog.text
        assert rig.state().ack == "unacknowledged"
        assert rig.state().unconfirmed == 1
        rig.close()


def test_several_endpoints_share_the_work_and_one_that_is_down_is_left_out(tmp_path: Path) -> None:
    with HecServer() as one, HecServer() as two, HecServer() as three:
        rig = Rig(tmp_path, one.url, two.url, three.url)
        two.down()
        rig.append(*range(3000))
        rig.start(batch_max_events=50)
        assert rig.delivered()
        shares = [len(one.store), len(three.store)]
        assert sum(shares) == 3000
        assert min(shares) > 1000
        two.up()
        numbers = itertools.count(10_000)

        def back_at_work() -> bool:
            rig.append(next(numbers))
            return len(two.store) > 0

        assert wait(back_at_work)
        rig.close()


def test_events_put_back_are_sent_again_whatever_the_filter_says(rig: Rig, server: HecServer) -> None:
    from shipper.record import encode_record
    from tests.outputs.hec.conftest import record

    rig.append(1, type="tunnel")
    rig.start(filter="type:tunnel")
    assert rig.delivered()
    with closing(DeliveredLedger(rig.folder / "journal.db")) as ledger:
        ledger.put_back("splunk_hec", [encode_record(record(number)) for number in range(1, 2600)])
    assert wait(lambda: len(server.store) == 2600)
    assert wait(lambda: rig.state().put_back == 0)
    assert server.store.duplicates() == 1
    rig.stop()
    rig.start()
    rig.append(5000, type="tunnel")
    assert rig.delivered()
    assert len(server.store) == 2601


def test_a_stop_in_the_middle_loses_and_doubles_nothing(rig: Rig, server: HecServer) -> None:
    rig.append(*range(500))
    rig.append(*range(500, 1000))
    server.script.always(fault.slow_answer(0.02))
    for _ in range(6):
        rig.start(batch_max_events=30)
        wait(lambda: len(server.store) > 0, 0.2)
        rig.stop()
    rig.start()
    assert rig.delivered()
    assert server.store.counts() == Counter(name(number) for number in range(1000))


def test_new_events_do_not_wait_for_the_backlog(rig: Rig, server: HecServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipper.outputs.hec.supply.BEHIND_NS", -1)
    for first in range(0, 4000, 100):
        rig.append(*range(first, first + 100))
    server.script.always(fault.slow_answer(0.05))
    rig.start(batch_max_events=100, in_flight=1)
    assert server.wait(lambda: len(server.store) >= 200, 30)
    rig.append(9999)
    assert server.wait(lambda: name(9999) in server.store.counts(), 30)
    assert len(server.store) < 2000
    server.script.clear()
    assert rig.delivered()
    assert server.store.counts() == Counter([name(number) for number in range(4000)] + [name(9999)])


def test_a_proxy_may_stand_on_the_way(tmp_path: Path, server: HecServer) -> None:
    from tests.hec.proxy import Proxy

    auth = tmp_path / "auth"
    auth.write_text("user:pass/word@x\n")
    with Proxy(credential="user:pass/word@x") as proxy:
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        rig.start(proxy=proxy.url, proxy_auth_file=auth)
        assert rig.delivered()
        assert proxy.passed
        rig.close()


def test_tls_is_verified_with_the_own_ca_and_not_without(tmp_path: Path) -> None:
    from tests.hec.certificate import Authority

    authority = Authority(tmp_path)
    with HecServer(tls=authority.server()) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        rig.start()
        assert wait(lambda: rig.state().endpoints[0].reason is not None)
        assert "certificate" in (rig.state().endpoints[0].reason or "").lower()
        assert not len(server.store)
        rig.stop()
        rig.start(ca_file=authority.ca_file)
        assert rig.delivered()
        assert rig.state().possible_duplicates == 0
        rig.close()


def test_without_verification_it_says_so_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tests.hec.certificate import Authority

    with HecServer(tls=Authority(tmp_path).server()) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        with caplog.at_level(logging.WARNING):
            rig.start(tls_verify=False)
            assert rig.delivered()
        assert "TLS CERTIFICATES ARE NOT CHECKED" in caplog.text
        rig.close()


def test_no_secret_is_ever_told(rig: Rig, server: HecServer, caplog: pytest.LogCaptureFixture) -> None:
    server.script.add(fault.code(4), times=2)
    server.script.add(fault.reset_before(), times=2)
    rig.append(1)
    with caplog.at_level(logging.DEBUG):
        rig.start()
        assert rig.delivered()
        assert TOKEN not in caplog.text
        assert TOKEN not in repr(rig.state())
