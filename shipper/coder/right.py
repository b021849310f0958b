"""The right: what a token may see of each thing that connlog asks Coder for, told from the roles of its user.

Coder answers those who may not read a list with an empty one, or with their own entries, and no error; only the roles
tell that something is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from shipper.coder.answer import UserRoles

ALL, SOME, OWN = "all", "some", "own"

LISTS_USERS = frozenset({"owner", "auditor", "user-admin"})
LISTS_ORGANIZATIONS = frozenset({"owner", "auditor"})
LISTS_WORKSPACES = frozenset({"owner", "template-admin"})
LISTS_LOG = frozenset({"owner", "auditor"})
"""Site roles that see all of it."""
ORGANIZATION_WORKSPACES = frozenset({"organization-admin"})
ORGANIZATION_LOG = frozenset({"organization-admin", "organization-auditor"})
"""Roles in an organization that see what is its."""
NAMED_MAX_COUNT = 5


class Right(Struct, frozen=True):
    """What of one thing a token sees: ALL, SOME (of the organizations ``of``) or OWN; ``advice`` says what that leaves
    out, and whose token sees it, empty for ALL."""

    what: str
    scope: str
    of: tuple[str, ...] = ()
    advice: str = ""


def rights(roles: UserRoles, names: Mapping[str, str] | None = None) -> dict[str, Right]:
    """The rights to users, organizations, workspaces and the connection log; ``names`` are those of organizations."""
    own = "the token lists its own only"
    found = (
        _right("users", roles, LISTS_USERS, (), names, f"{own}; an Auditor's, a User Admin's or an Owner's lists all"),
        _right("organizations", roles, LISTS_ORGANIZATIONS, (), names, f"{own}; an Auditor's or an Owner's lists all"),
        _right(
            "workspaces", roles, LISTS_WORKSPACES, ORGANIZATION_WORKSPACES, names,
            f"{own}, so templates of others stay unknown; an Owner's lists all",
        ),
        _right(
            "connection log", roles, LISTS_LOG, ORGANIZATION_LOG, names,
            "empty for this token; an Auditor's or an Owner's reads all of it",
        ),
    )  # fmt: skip
    return {one.what: one for one in found}


def _right(
    what: str,
    roles: UserRoles,
    site: Iterable[str],
    organization: Iterable[str],
    names: Mapping[str, str] | None,
    advice: str,
) -> Right:
    if set(site) & set(roles.roles or ()):
        return Right(what, ALL)
    wanted = set(organization)
    of = sorted(
        (names or {}).get(id_.lower(), id_)
        for id_, held in (roles.organization_roles or {}).items()
        if wanted & set(held or ())
    )
    if of:
        shown = ", ".join(of[:NAMED_MAX_COUNT]) + (
            f" and {len(of) - NAMED_MAX_COUNT} more" if of[NAMED_MAX_COUNT:] else ""
        )
        return Right(what, SOME, tuple(of), f"only those of {shown}; {advice.rsplit('; ', 1)[-1]}")
    return Right(what, OWN, (), advice)
