"""The sieve: the filter of an output, which tells of each event whether the output gets it, also by names that may be
learnt only later.

Where a name decides that is not known yet, the event is kept and counted: an audit trail would rather hold an event too
many than miss one. ``names_wait`` of the output lets it wait for the name before.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import UNSET

from shipper import timestamp
from shipper.directory.sighting import ORGANIZATION, USER
from shipper.query.filter import Filter, Names
from shipper.query.judge import Meets, judge
from shipper.record import Record

_MEANING = {
    "organization": (ORGANIZATION, "organization_id", "name", "organization"),
    "workspace_owner": (USER, "workspace_owner_id", "username", "workspace_owner"),
    "workspace_owner_email": (USER, "workspace_owner_id", "email", None),
    "username": (USER, "user_id", "username", "user"),
    "user_email": (USER, "user_id", "email", "user_email"),
}
"""Of each key: the kind, the record's id of it, the attribute, and the key of the record's ``names``."""


class Who(Protocol):
    """Where names come from."""

    def name(self, kind: str, id_: str, attribute: str, at_ns: int) -> tuple[str | None, bool]:
        """A name as of a moment; where it is None, whether it may still be learnt."""

    def me(self) -> tuple[str | None, bool]:
        """The id of whose token it is; where it is None, whether it may still be learnt."""


class Sieve:
    """Tells whether a record meets ``filter_``. Not for two threads at once. Raises QueryError where one event can't tell."""

    def __init__(self, filter_: Filter, who: Who | None) -> None:
        self._names = [term for term in filter_.terms if isinstance(term, Names)]
        self._rest: Meets = judge(Filter(tuple(term for term in filter_.terms if not isinstance(term, Names))))
        self._who = who
        self.undecided_count = 0
        """Events that were kept since their names were not known."""
        self.left_out_count = 0
        """Events that did not meet it."""

    @property
    def asks_names(self) -> bool:
        """Whether names decide."""
        return bool(self._names)

    @property
    def asks_organizations(self) -> bool:
        """Whether names of organizations decide."""
        return any(term.key == "organization" for term in self._names)

    def __call__(self, record: Record) -> bool:
        """Whether the output gets the record."""
        answers = [self._fits(term, record) for term in self._names] if self._rest(record) else [False]
        if False in answers:
            self.left_out_count += 1
            return False
        self.undecided_count += None in answers
        return True

    def _fits(self, term: Names, record: Record) -> bool | None:
        """Whether a record meets a term; None where that is not known yet."""
        found = self._is_one(term, record)
        return found if found is None or not term.negated else not found

    def _is_one(self, term: Names, record: Record) -> bool | None:
        kind, id_field, attribute, stored = _MEANING[term.key]
        id_: str | None = getattr(record, id_field)
        if id_ is None:
            return False
        if id_ in term.values:
            return True
        open_ = False
        wanted = frozenset(term.values)
        if "me" in wanted and attribute == "username":
            me, open_ = (None, True) if self._who is None else self._who.me()
            if me == id_:
                return True
            wanted -= {"me"}
        if wanted:
            name = None if record.names is UNSET or stored is None else record.names.get(stored)
            if name is None:
                at_ns = timestamp.to_ns(record.time)
                name, still = (None, True) if self._who is None else self._who.name(kind, id_, attribute, at_ns)
                open_ = open_ or (name is None and still)
            if name is not None and name.lower() in wanted:
                return True
        return None if open_ else False
