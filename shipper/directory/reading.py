"""Reading names out of Coder's answers: users, organizations, workspaces, and rows of the connection log, as sightings."""

from __future__ import annotations

from collections.abc import Iterator

from shipper import timestamp
from shipper.coder.answer import NIL_ID, Organization, Row, User, Workspace
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE, Sighting, sighting
from shipper.query.value import read_uuid

API, CONNECTION_LOG = "coder_api", "connection_log"
"""Sources as ``names ls`` shows them."""


def of_user(user: User, at_ns: int, source: str = API) -> Iterator[Sighting]:
    """What a user's answer says; nothing where the user is gone and its texts are empty."""
    id_ = _id(user.id)
    if id_ is not None and user.username:
        # Coder sets updated_at with every change of these.
        yield sighting(
            USER,
            id_,
            at_ns,
            source,
            _since(user.updated_at, at_ns),
            username=user.username,
            email=user.email,
            name=user.name,
            status=user.status,
        )


def of_organization(one: Organization, at_ns: int, source: str = API) -> Iterator[Sighting]:
    """What an organization's answer says."""
    id_ = _id(one.id)
    if id_ is not None and one.name:
        yield sighting(ORGANIZATION, id_, at_ns, source, name=one.name, display_name=one.display_name)


def of_workspace(one: Workspace, at_ns: int) -> Iterator[Sighting]:
    """What a workspace's answer says, its owner's and its organization's name too."""
    id_ = _id(one.id)
    if id_ is not None and one.name:
        owner, organization = _id(one.owner_id), _id(one.organization_id)
        yield sighting(
            WORKSPACE,
            id_,
            at_ns,
            API,
            name=one.name,
            owner_id=owner,
            organization_id=organization,
            template=one.template_name,
        )
        if owner is not None and one.owner_name:
            yield sighting(USER, owner, at_ns, API, username=one.owner_name)
        if organization is not None and one.organization_name:
            yield sighting(ORGANIZATION, organization, at_ns, API, name=one.organization_name)


def of_row(row: Row, at_ns: int) -> Iterator[Sighting]:
    """What a row of the connection log says. Its names are those of the moment it was asked for, for Coder joins
    them when it answers; only the workspace's name is as of the connection, and that is in the log itself."""
    yield from of_organization(row.organization, at_ns, CONNECTION_LOG)
    owner = _id(row.workspace_owner_id)
    if owner is not None and row.workspace_owner_username:
        yield sighting(USER, owner, at_ns, CONNECTION_LOG, username=row.workspace_owner_username)
    if row.web_info is not None and row.web_info.user is not None:
        yield from of_user(row.web_info.user, at_ns, CONNECTION_LOG)


def _id(text: str) -> str | None:
    found = read_uuid(text)
    return None if found == NIL_ID else found


def _since(text: str, at_ns: int) -> int | None:
    canonical = timestamp.canonical(text)
    if canonical is None or canonical.startswith("0001-"):
        return None
    return min(timestamp.to_ns(canonical), at_ns)
