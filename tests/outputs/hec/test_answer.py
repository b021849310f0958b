"""Each answer of a collector has one meaning, by status and code and never by text, and no event is lost by any."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.outputs.hec.answer import Answer, Verdict, judge, judge_acks, judge_health, retry_after
from shipper.outputs.hec.outcome import outcome
from shipper.outputs.hec.slice import Slice

MB = 1_000_000


def ask(status: int, code: int | None = None, *, count: int = 10, size: int = 500, **more: Any) -> Answer:
    body = json.dumps({"text": "whatever", "code": code} | {k.replace("_", "-"): v for k, v in more.items()})
    return judge(status, body.encode() if code is not None else b"<html>", {}, count, size)


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (200, 0, Verdict.TAKEN), (200, 24, Verdict.TAKEN), (200, 25, Verdict.TAKEN),
        (403, 1, Verdict.HELD), (401, 2, Verdict.HELD), (401, 3, Verdict.HELD), (403, 4, Verdict.HELD),
        (400, 10, Verdict.HELD), (400, 11, Verdict.HELD), (400, 14, Verdict.HELD), (400, 16, Verdict.HELD),
        (400, 21, Verdict.HELD), (400, 22, Verdict.HELD), (400, 28, Verdict.HELD), (400, 99, Verdict.HELD),
        (500, 8, Verdict.UNSURE),
        (503, 9, Verdict.REFUSED), (503, 18, Verdict.REFUSED), (503, 19, Verdict.REFUSED), (503, 20, Verdict.REFUSED),
        (503, 23, Verdict.REFUSED), (429, 26, Verdict.REFUSED), (429, 27, Verdict.REFUSED), (503, 27, Verdict.REFUSED),
        (404, 404, Verdict.HELD), (405, 405, Verdict.HELD),
    ],
)  # fmt: skip
def test_each_code_of_the_table_has_its_verdict(status: int, code: int, verdict: Verdict) -> None:
    assert ask(status, code).verdict is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.UNSURE), (201, Verdict.UNSURE), (204, Verdict.UNSURE), (301, Verdict.HELD), (307, Verdict.HELD),
        (400, Verdict.HELD), (401, Verdict.HELD), (403, Verdict.HELD), (404, Verdict.HELD), (407, Verdict.HELD),
        (408, Verdict.UNSURE), (413, Verdict.SPLIT), (415, Verdict.HELD), (429, Verdict.REFUSED), (500, Verdict.UNSURE),
        (502, Verdict.UNSURE), (503, Verdict.UNSURE), (504, Verdict.UNSURE), (507, Verdict.UNSURE),
    ],
)  # fmt: skip
def test_who_is_no_collector_is_judged_by_the_status_alone(status: int, verdict: Verdict) -> None:
    assert ask(status).verdict is verdict


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b'{"text":"Success"}', b'{"code":"0"}', b'{"code":true}', b"{" * 5000]
)
def test_a_success_that_is_not_a_collectors_is_none(body: bytes) -> None:
    answer = judge(200, body, {}, 3, 100)
    assert (answer.verdict, answer.foreign) == (Verdict.UNSURE, True)


def test_near_its_limits_a_server_is_given_time() -> None:
    assert [ask(200, code).slow for code in (0, 24, 25)] == [False, True, True]


@pytest.mark.parametrize("code", [6, 12, 13, 15])
def test_the_number_counts_from_0(code: int) -> None:
    answer = ask(400, code, invalid_event_number=4, ackId=7)
    assert (answer.verdict, answer.bad, answer.ack) == (Verdict.GUILTY, 4, 7)


def test_for_a_wrong_index_it_counts_from_1_and_everything_is_held() -> None:
    answer = ask(400, 7, invalid_event_number=4)
    assert (answer.verdict, answer.bad) == (Verdict.HELD, 3)
    assert ask(400, 7, count=1, invalid_event_number=1).bad == 0


@pytest.mark.parametrize("number", [None, -1, 10, "3", 2.5, True])
@pytest.mark.parametrize("code", [5, 6, 12, 13, 15])
def test_without_a_number_of_use_the_guilty_one_is_sought(code: int, number: object) -> None:
    assert ask(400, code, invalid_event_number=number).verdict is Verdict.BISECT
    alone = ask(400, code, count=1, invalid_event_number=number)
    assert (alone.verdict, alone.bad) == (Verdict.GUILTY, 0)


@pytest.mark.parametrize("number", [None, 0, 11, "1"])
def test_so_is_the_one_with_the_wrong_index_and_then_it_is_held(number: object) -> None:
    assert ask(400, 7, invalid_event_number=number).verdict is Verdict.BISECT
    assert ask(400, 7, count=1, invalid_event_number=number).verdict is Verdict.HELD


def test_a_large_body_is_cut_before_its_first_event_is_blamed() -> None:
    assert ask(400, 6, size=MB + 1, invalid_event_number=0).verdict is Verdict.SPLIT
    assert ask(400, 6, size=MB + 1, invalid_event_number=1).verdict is Verdict.GUILTY
    assert ask(400, 6, size=MB, invalid_event_number=0).verdict is Verdict.GUILTY
    assert ask(400, 6, size=MB + 1, count=1, invalid_event_number=0).verdict is Verdict.GUILTY
    assert ask(413, count=1).verdict is Verdict.GUILTY


def test_text_never_decides_and_is_never_raw() -> None:
    body = json.dumps({"text": "Success\x1b[2J\nevil" + "x" * 1000, "code": 4}).encode()
    answer = judge(403, body, {}, 1, 1)
    assert answer.verdict is Verdict.HELD
    assert answer.shown.isprintable()
    assert len(answer.shown) < 300


@given(seconds=st.integers(0, 10**12))
def test_a_wait_is_a_number_of_seconds_or_a_date(seconds: int) -> None:
    assert retry_after(str(seconds)) == min(seconds, 3600)
    there = datetime.now(UTC) + timedelta(seconds=min(seconds, 10_000))
    found = retry_after(format_datetime(there, usegmt=True))
    assert found is not None
    assert abs(found - min(seconds, 3600)) < 5


@given(st.text(max_size=30))
def test_any_other_wait_is_none(text: str) -> None:
    found = retry_after(text)
    assert found is None or 0 <= found <= 3600


def test_only_true_acknowledges() -> None:
    body = b'{"acks":{"0":true,"1":false,"2":true,"3":"true","4":1,"x":true}}'
    assert judge_acks(200, body) == (frozenset({0, 2}), Answer(Verdict.TAKEN, 200))


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b'{"acks":[0]}'), (500, b'{"acks":{"0":true}}'), (404, b""), (400, b'{"code":14}')],
)
def test_an_endpoint_that_fails_acknowledges_nothing(status: int, body: bytes) -> None:
    ids, answer = judge_acks(status, body)
    assert not ids
    assert answer.verdict is not Verdict.TAKEN


@pytest.mark.parametrize(
    ("status", "body", "well"),
    [
        (200, b'{"text":"HEC is healthy","code":17}', True), (200, b"<html>", False), (503, b'{"code":18}', False),
        (404, b"", True), (400, b'{"code":21}', True), (500, b"", False), (429, b"", False),
    ],
)  # fmt: skip
def test_health_is_what_a_collector_says_and_else_the_next_request_tells(status: int, body: bytes, well: bool) -> None:
    assert (judge_health(status, body, {}).verdict is Verdict.TAKEN) is well


_answers = st.builds(
    judge,
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 407, 408, 413, 415, 429, 500, 502, 503, 504]),
    st.one_of(
        st.binary(max_size=20),
        st.fixed_dictionaries(
            {"code": st.integers(-1, 30)},
            optional={
                "invalid-event-number": st.integers(-2, 12),
                "ackId": st.integers(0, 5),
                "text": st.text(max_size=5),
            },
        ).map(lambda found: json.dumps(found).encode()),
    ),
    st.just({}),
    st.shared(st.integers(1, 9), key="count"),
    st.sampled_from([100, 2 * MB]),
)


@given(answer=_answers, count=st.shared(st.integers(1, 9), key="count"), acknowledged=st.booleans())
def test_every_event_is_taken_refused_or_sent_again_once(answer: Answer, count: int, acknowledged: bool) -> None:
    bodies = [b"%d" % number for number in range(count)]
    piece = Slice(bodies, bodies, bodies, [(1, at) for at in range(count)], count)
    found = outcome(piece, answer, acknowledged=acknowledged)
    parts = [part for part in (found.taken, found.guilty, *found.back) if part is not None]
    assert sorted(body for part in parts for body in part.opened().bodies) == bodies
    assert all(len(part) for part in parts)
    assert found.guilty is None or len(found.guilty) == 1
    if found.taken is not None and acknowledged:
        assert answer.ack is not None
    if answer.status != 200 and found.taken is not None:
        # Only what stands before the number is known to be taken.
        assert answer.bad is not None
        assert found.taken.opened().bodies == bodies[: answer.bad]
    if count == 1 and answer.verdict is Verdict.BISECT:
        raise AssertionError("a single event is never sought")
