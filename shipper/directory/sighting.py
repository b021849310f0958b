"""The sighting: what one source says of one user, organization or workspace at one moment."""

from __future__ import annotations

from msgspec import Struct

USER, ORGANIZATION, WORKSPACE = "user", "organization", "workspace"
ATTRIBUTES = {
    USER: ("username", "email", "name", "status"),
    ORGANIZATION: ("name", "display_name"),
    WORKSPACE: ("name", "owner_id", "organization_id", "template"),
}
"""What is kept of each kind."""
VALUE_MAX_CHARACTERS = 512
"""The longest value that is kept; Coder's own are at most 254 (an e-mail's)."""
DELETED = "deleted"
"""The status of a user that Coder no longer has."""


class Sighting(Struct, frozen=True):
    """One of ``ATTRIBUTES``'s kinds, its id as canonical UUID text, and what is known of it; what is not known is not
    among ``values``. ``since_ns``: none of them has changed from then on until ``at_ns``."""

    kind: str
    id: str
    values: dict[str, str]
    at_ns: int
    source: str
    since_ns: int | None = None


def sighting(
    kind: str, id_: str, at_ns: int, source: str, since_ns: int | None = None, **values: str | None
) -> Sighting:
    """A sighting without what is empty, and with what is too long cut."""
    known = {key: value[:VALUE_MAX_CHARACTERS] for key, value in values.items() if value}
    return Sighting(kind, id_, known, at_ns, source, since_ns)
