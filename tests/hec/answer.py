"""The table of HEC's answers: each code with its HTTP status and text, and the body as Splunk writes it.

Source: Splunk's documentation for the codes 0 to 17, published measurements of Enterprise 10.4 for the order of keys.
An error of HTTP itself (404, 405, 413, 415) has its status as its code.
"""

from __future__ import annotations

import json

from msgspec import Struct

TABLE: dict[int, tuple[int, str]] = {
    0: (200, "Success"),
    1: (403, "Token disabled"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    14: (400, "ACK is disabled"),
    15: (400, "Error in handling indexed fields"),
    16: (400, "Query string authorization is not enabled"),
    17: (200, "HEC is healthy"),
    18: (503, "HEC is unhealthy, queues are full"),
    19: (503, "HEC is unhealthy, ack service unavailable"),
    20: (503, "HEC is unhealthy, queues are full, ack service unavailable"),
    21: (400, "Invalid token"),
    22: (400, "Token disabled"),
    23: (503, "Server is shutting down"),
    24: (200, "HEC queue is approaching its capacity limit"),
    25: (200, "HEC ACK is approaching its capacity limit"),
    26: (429, "HEC queue is at capacity and cannot process any more requests"),
    27: (429, "HEC ACK channel is at capacity and cannot process any more requests"),
    28: (
        400,
        "Data channel is missing. If you have multiple indexers, sticky session load balancers must be provisioned",
    ),
}
HTTP_TEXTS = {
    404: "The requested URL was not found on this server.",
    405: "The requested URL was not found on this server.",
    413: "Request entity too large",
    415: "Unsupported media type",
}
JSON_TYPE = ("Content-Type", "application/json; charset=UTF-8")


class Answer(Struct, frozen=True, kw_only=True):
    """One HTTP answer; ``code`` is HEC's number where the body has one."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (JSON_TYPE,)
    code: int | None = None


def hec_answer(
    code: int, number: int | None = None, ack_id: int | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """The answer for a code of the table: ``{"text":…,"code":…[,"invalid-event-number":…][,"ackId":…]}``."""
    status, text = TABLE[code]
    body: dict[str, object] = {"text": text, "code": code}
    if number is not None:
        body["invalid-event-number"] = number
    if ack_id is not None:
        body["ackId"] = ack_id
    return Answer(status=status, body=_json(body), headers=(JSON_TYPE, *headers), code=code)


def http_answer(status: int, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """The answer for an error of HTTP's own: its code is the status."""
    body = _json({"text": HTTP_TEXTS[status], "code": status})
    return Answer(status=status, body=body, headers=(JSON_TYPE, *headers), code=status)


def ack_answer(acks: dict[str, bool]) -> Answer:
    """The answer of the ack endpoint: ids as text, each true or false."""
    return Answer(status=200, body=_json({"acks": acks}))


def options_answer(allow: str) -> Answer:
    """OPTIONS: 200 without a body."""
    return Answer(status=200, body=b"", headers=(("Allow", allow),))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
