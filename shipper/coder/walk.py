"""The walk: all of a list of Coder's, page by page, so that what changes meanwhile hides nothing.

The connection log is walked by time, newest first, each page beginning at the time where the last one ended: with
plain offsets every new row would push another one over the edge of a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Raw, Struct

from shipper import timestamp
from shipper.coder.answer import LogPage, Organization, Row, User, UserPage, Workspace, WorkspacePage, read_answer
from shipper.coder.client import CoderClient
from shipper.errors import RemoteError
from shipper.query.value import read_uuid

PAGE_COUNT = 100
"""Rows asked for at once; some versions of Coder give no more, whatever is asked."""
PAGES_MAX_COUNT = 200_000
"""Pages of one walk, which no list has: a server that repeats itself is not followed without end."""
BAD_KEPT_MAX_COUNT = 20


class LogRow(Struct, frozen=True):
    """A row of the connection log with its time in ns and its JSON as it came; its ids are canonical."""

    row: Row
    time_ns: int
    raw: bytes


class Walked(Struct):
    """What a walk met: rows given, pages asked, and rows that could not be read, of which some are told."""

    rows: int = 0
    pages: int = 0
    bad: int = 0
    problems: list[str] = []


def walk_log(
    client: CoderClient, since_ns: int | None, until_ns: int, walked: Walked, extra: str = ""
) -> Iterator[LogRow]:
    """The rows that began from ``since_ns`` to ``until_ns``, both included, newest first. Raises RemoteError.

    Each comes once, but one whose connect event arrives meanwhile may come again. ``extra`` is a query that they must meet too. Rows that can't be read are counted in ``walked``.
    """
    before_ns, offset = until_ns, 0
    edge: set[str] = set()
    for _ in range(PAGES_MAX_COUNT):
        page = _log_page(client, since_ns, before_ns, offset, extra)
        walked.pages += 1
        rows = [row for raw in page.connection_logs if (row := _read_row(raw, walked)) is not None]
        fresh = [row for row in rows if row.row.id not in edge]
        for row in fresh:
            walked.rows += 1
            yield row
        seen = offset + len(page.connection_logs)
        if not page.connection_logs or (0 <= page.count <= seen and not 0 < page.count_cap < page.count):
            return
        last_ns = min((row.time_ns for row in rows), default=before_ns)
        if last_ns < before_ns:
            # PostgreSQL has microseconds: what is left of the last one is asked for again.
            before_ns, offset = last_ns, 0
            edge = {row.row.id for row in rows if row.time_ns == last_ns}
        else:
            offset = seen
            edge |= {row.row.id for row in rows}
    raise RemoteError(f"{client.url}: the connection log does not end; it was read for {PAGES_MAX_COUNT} pages")


def find_rows(client: CoderClient, query: str) -> list[LogRow]:
    """The first page of rows that meet a query."""
    page = client.get("connectionlog", LogPage, {"q": query, "limit": PAGE_COUNT})
    walked = Walked()
    return [row for raw in page.connection_logs if (row := _read_row(raw, walked)) is not None]


def walk_users(client: CoderClient, since_ns: int | None = None) -> Iterator[User]:
    """The users the token may see, deleted ones not among them; with ``since_ns`` those who were there after it. One may
    come twice where the list changes meanwhile."""
    asked = _asked("last_seen_after", since_ns)

    def page(offset: int) -> tuple[list[Raw], int]:
        answer = client.get("users", UserPage, {**asked, "limit": PAGE_COUNT, "offset": offset})
        return answer.users, answer.count

    for raw in _walk(client, page):
        user = read_answer(raw, User, f"{client.url}: a user")
        if read_uuid(user.id):
            yield user


def walk_workspaces(client: CoderClient, since_ns: int | None = None) -> Iterator[Workspace]:
    """The workspaces the token may see, of an Auditor's only its own; with ``since_ns`` those that were used after it."""
    asked = _asked("last_used_after", since_ns)

    def page(offset: int) -> tuple[list[Raw], int]:
        answer = client.get("workspaces", WorkspacePage, {**asked, "limit": PAGE_COUNT, "offset": offset})
        return answer.workspaces, answer.count

    for raw in _walk(client, page):
        one = read_answer(raw, Workspace, f"{client.url}: a workspace")
        if read_uuid(one.id):
            yield one


def list_organizations(client: CoderClient) -> list[Organization]:
    """The organizations the token may see."""
    return [one for one in client.get("organizations", list[Organization]) if read_uuid(one.id)]


def _asked(key: str, since_ns: int | None) -> dict[str, str | int]:
    return {} if since_ns is None else {"q": f'{key}:"{timestamp.from_ns(since_ns)}"'}


def _walk(client: CoderClient, page: Callable[[int], tuple[list[Raw], int]]) -> Iterator[Raw]:
    offset = 0
    for _ in range(PAGES_MAX_COUNT):
        rows, count = page(offset)
        yield from rows
        offset += len(rows)
        if not rows or 0 <= count <= offset:
            return
    raise RemoteError(f"{client.url}: a list does not end; it was read for {PAGES_MAX_COUNT} pages")


def _log_page(client: CoderClient, since_ns: int | None, before_ns: int, offset: int, extra: str) -> LogPage:
    words = [f'connected_before:"{timestamp.from_ns(before_ns)}"']
    if since_ns is not None:
        words.insert(0, f'connected_after:"{timestamp.from_ns(since_ns)}"')
    if extra:
        words.append(extra)
    return client.get("connectionlog", LogPage, {"q": " ".join(words), "limit": PAGE_COUNT, "offset": offset})


def _read_row(raw: Raw, walked: Walked) -> LogRow | None:
    """A row, or None where it can't be one: then it is counted, and nothing else of the page is lost."""
    body = bytes(raw)
    problem = "a row without a usable id or time"
    try:
        row = read_answer(body, Row, "a row")
    except RemoteError as error:
        problem = str(error)
    else:
        canonical = timestamp.canonical(row.connect_time)
        if canonical is not None and read_uuid(row.id) is not None:
            return LogRow(row, timestamp.to_ns(canonical), body)
    walked.bad += 1
    if len(walked.problems) < BAD_KEPT_MAX_COUNT:
        walked.problems.append(problem)
    return None
