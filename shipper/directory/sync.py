"""The sync: asks Coder for names, as far as the token may see them, and says what it could not see.

Nobody is taken for deleted because a list came without them: only where the token may list all users, and Coder says
of the single one that it is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from msgspec import Struct

from shipper.coder.answer import User, UserRoles, Workspace
from shipper.coder.client import CoderClient
from shipper.coder.right import ALL, OWN, SOME, Right, rights
from shipper.coder.walk import Walked, list_organizations, walk_log, walk_users, walk_workspaces
from shipper.directory.lookup import Directory
from shipper.directory.reading import API, of_organization, of_row, of_user, of_workspace
from shipper.directory.sighting import DELETED, ORGANIZATION, USER, WORKSPACE, Sighting, sighting
from shipper.errors import RemoteBusy, RemoteError, RemoteMissing, RemoteRefused
from shipper.query.value import read_uuid

CONFIRMED_MAX_COUNT = 200
"""Users asked for one by one in a sync, since a list came without them; the others wait for the next."""
UNKNOWN_MAX_COUNT = 50
"""Unknown ids asked for in one go."""
MISSING_NS = 3_600_000_000_000
"""How long an id that Coder does not know, or hides, is not asked for again."""
LOG_BACK_NS = 30 * 86_400_000_000_000
"""How far back the connection log is read for names the first time."""
_LOG_OVERLAP_NS = 3_600_000_000_000
RECENT_OVERLAP_NS = 2 * 3_600_000_000_000
"""How far a sync of what is recent goes back behind the last: Coder notes that somebody was there once an hour."""


_T = TypeVar("_T")


class Keeper(Protocol):
    """Where sightings are kept."""

    @property
    def directory(self) -> Directory: ...

    def learn(self, sightings: Iterable[Sighting]) -> int:
        """Take sightings in; gives how many told something new."""

    def miss(self, missing: list[tuple[str, str]], until_ns: int) -> None:
        """Note ids that Coder does not know, or hides, and until when it is not asked for them again."""

    def fact(self, name: str) -> str | None:
        """A fact kept."""

    def set_fact(self, name: str, value: str) -> None:
        """Keep a fact."""

    def known_users(self) -> set[str]:
        """The ids of all users that Coder ever told of."""


class Synced(Struct):
    """What a sync gave: how many of each kind were seen, how many told something new, and what could not be seen. ``whole``:
    all were asked for, not only those of late."""

    users: int = 0
    organizations: int = 0
    workspaces: int = 0
    rows: int = 0
    deleted: int = 0
    new: int = 0
    version: str = ""
    me: str = ""
    whole: bool = True
    roles: list[str] = []
    notes: list[str] = []


def sync(
    client: CoderClient, keeper: Keeper, now_ns: int, *, log_rows: bool = True, whole_every_ns: int | None = None
) -> Synced:
    """Ask for names. ``log_rows``: also read them from the connection log, from where that was left. With
    ``whole_every_ns`` only users who were there, and workspaces that were used, since the last sync are asked for, unless
    all of them were not for so long; who was renamed or deleted without having been there is found then.

    Raises RemoteRefused where the token is not taken at all, RemoteError and StateError.
    """
    done = Synced()
    me = client.me()
    roles = client.my_roles()
    done.me, done.roles = me.username, [*(roles.roles or ())]
    done.version = client.build_info().version
    done.new += keeper.learn(of_user(me, now_ns))
    if read_uuid(me.id):
        keeper.set_fact("me", str(read_uuid(me.id)))
        keeper.set_fact("me_by", "token")
    since_ns = _since(keeper, client.url, roles, now_ns, whole_every_ns)
    done.whole = since_ns is None
    names = _organizations(client, keeper, now_ns, done)
    seen = rights(roles, names)
    done.roles += [
        f"{role} of {names.get(id_.lower(), id_)}"
        for id_, held in (roles.organization_roles or {}).items()
        for role in held
    ]
    listed = _users(client, keeper, now_ns, since_ns, seen["users"], done)
    _workspaces(client, keeper, now_ns, since_ns, seen["workspaces"], done)
    if log_rows:
        _rows(client, keeper, now_ns, seen["connection log"], done)
    if listed is not None:
        _deleted(client, keeper, listed, now_ns, done)
    if done.whole:
        keeper.set_fact("whole_ns", str(now_ns))
        keeper.set_fact("whole_of", _of(client.url, roles))
    keeper.set_fact("synced_ns", str(now_ns))
    return done


def _since(keeper: Keeper, url: str, roles: UserRoles, now_ns: int, whole_every_ns: int | None) -> int | None:
    """From when on a sync asks; None for all. What another token or Coder gave is no beginning."""
    whole, last = keeper.fact("whole_ns"), keeper.fact("synced_ns")
    if whole_every_ns is None or whole is None or last is None or keeper.fact("whole_of") != _of(url, roles):
        return None
    if not 0 <= now_ns - int(whole) < whole_every_ns:
        return None
    return min(int(last), now_ns) - RECENT_OVERLAP_NS


def _of(url: str, roles: UserRoles) -> str:
    held = [f"{id_}={role}" for id_, some in (roles.organization_roles or {}).items() for role in some]
    return " ".join((url, *sorted(roles.roles or ()), *sorted(held)))


def ask_unknown(client: CoderClient, keeper: Keeper, ids: Iterable[tuple[str, str]], now_ns: int) -> int:
    """Ask for single users and workspaces, at most ``UNKNOWN_MAX_COUNT``; gives how many told something.

    What is not there, hidden, or can't be asked for alone, is not asked for again for ``MISSING_NS``."""
    new = 0
    missing: list[tuple[str, str]] = []
    found: list[Sighting] = []
    for kind, id_ in list(ids)[:UNKNOWN_MAX_COUNT]:
        try:
            if kind == USER:
                found += of_user(client.get(f"users/{id_}", User), now_ns)
            elif kind == WORKSPACE:
                found += of_workspace(client.get(f"workspaces/{id_}", Workspace, {"include_deleted": "true"}), now_ns)
        except (RemoteMissing, RemoteRefused):
            pass
        if not any(one.kind == kind and one.id == id_ for one in found):
            missing.append((kind, id_))
    new += keeper.learn(found)
    if missing:
        keeper.miss(missing, now_ns + MISSING_NS)
    return new


def _recent(
    walk: Callable[[CoderClient, int | None], Iterator[_T]],
    client: CoderClient,
    since_ns: int | None,
    what: str,
    done: Synced,
) -> Iterator[_T]:
    """What a list has of late, or all of it, where this Coder can't be asked for that."""
    if since_ns is not None:
        given = 0
        try:
            for one in walk(client, since_ns):
                given += 1
                yield one
        except (RemoteRefused, RemoteMissing, RemoteBusy):
            raise
        except RemoteError:
            if given:
                raise
            done.notes.append(f"{what}: this Coder can't be asked for those of late only, so all are read each time")
        else:
            return
    yield from walk(client, None)


def _users(
    client: CoderClient, keeper: Keeper, now_ns: int, since_ns: int | None, right: Right, done: Synced
) -> set[str] | None:
    """The ids of all users listed; None where the list is not all of them."""
    listed: set[str] = set()

    def seen() -> Iterator[Sighting]:
        for user in _recent(walk_users, client, since_ns, "users", done):
            listed.add(user.id.lower())
            yield from of_user(user, now_ns)

    try:
        done.new += keeper.learn(seen())
    except (RemoteRefused, RemoteMissing) as error:
        done.notes.append(f"users: {error}")
        return None
    finally:
        done.users = len(listed)
    if right.scope != ALL:
        done.notes.append(f"users: {right.advice}")
        return None
    return listed if done.whole else None


def _organizations(client: CoderClient, keeper: Keeper, now_ns: int, done: Synced) -> dict[str, str]:
    """The names of those listed, by id."""
    try:
        found = list_organizations(client)
    except (RemoteRefused, RemoteMissing) as error:
        done.notes.append(f"organizations: {error}")
        return {}
    done.organizations = len(found)
    done.new += keeper.learn(one for each in found for one in of_organization(each, now_ns))
    return {one.id.lower(): one.name for one in found}


def _workspaces(
    client: CoderClient, keeper: Keeper, now_ns: int, since_ns: int | None, right: Right, done: Synced
) -> None:
    listed: set[str] = set()

    def seen() -> Iterator[Sighting]:
        for one in _recent(walk_workspaces, client, since_ns, "workspaces", done):
            listed.add(one.id.lower())
            yield from of_workspace(one, now_ns)

    try:
        done.new += keeper.learn(seen())
    except (RemoteRefused, RemoteMissing) as error:
        done.notes.append(f"workspaces: {error}")
        return
    finally:
        done.workspaces = len(listed)
    if right.scope != ALL:
        done.notes.append(f"workspaces: {right.advice}")


def _rows(client: CoderClient, keeper: Keeper, now_ns: int, right: Right, done: Synced) -> None:
    """Names out of the connection log: those of users that are listed nowhere any more are there."""
    kept = keeper.fact("log_names_ns")
    since_ns = max(0, now_ns - LOG_BACK_NS) if kept is None else int(kept) - _LOG_OVERLAP_NS
    walked = Walked()
    latest: dict[tuple[str, str], Sighting] = {}
    try:
        for row in walk_log(client, since_ns, now_ns, walked):
            for one in of_row(row.row, now_ns):
                # Of several of one moment the fullest says all.
                known = latest.get((one.kind, one.id))
                if known is None or len(one.values) > len(known.values):
                    latest[one.kind, one.id] = one
    except (RemoteRefused, RemoteMissing) as error:
        done.notes.append(f"connection log: {error}")
        return
    done.rows = walked.rows
    done.new += keeper.learn(latest.values())
    if walked.bad:
        done.notes.append(f"connection log: {walked.bad} rows could not be read, such as: {walked.problems[0]}")
    if right.scope == SOME or (right.scope == OWN and not walked.rows):
        done.notes.append(f"connection log: {right.advice}")
    keeper.set_fact("log_names_ns", str(now_ns))


def _deleted(client: CoderClient, keeper: Keeper, listed: set[str], now_ns: int, done: Synced) -> None:
    directory = keeper.directory
    directory.refresh()
    gone = sorted(
        id_ for id_ in keeper.known_users() - listed if directory.value(USER, id_, "status", now_ns) != DELETED
    )
    for id_ in gone[:CONFIRMED_MAX_COUNT]:
        try:
            user = client.get(f"users/{id_}", User)
        except RemoteMissing:
            done.deleted += 1
            done.new += keeper.learn([sighting(USER, id_, now_ns, API, status=DELETED)])
        except RemoteError:
            return  # nothing is said of who can't be asked for
        else:
            done.new += keeper.learn(of_user(user, now_ns))


KINDS = (USER, ORGANIZATION, WORKSPACE)
"""All kinds, in the order of lists."""
