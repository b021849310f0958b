"""The filter: a question as plain frozen values, the same for every front end and every back end.

A ``Filter`` holds terms that all must be met; ``negated`` turns a term round, and a row that lacks the
value a term asks for does not meet it (so it meets the negated one). Text is lower case throughout, and
is compared with lower-cased text; only ``Pattern`` keeps its letters.
"""

from __future__ import annotations

from msgspec import Struct


class Term(Struct, frozen=True, kw_only=True, tag=True):
    """One condition. Its ``values`` are alternatives."""

    negated: bool = False


class FreeText(Term, frozen=True):
    """A part of any one text field; a whole id, or its first eight or more digits, finds that id too."""

    text: str


class Pattern(Term, frozen=True):
    """A regular expression (RE2's syntax) found in any one text field."""

    regex: str


class Text(Term, frozen=True):
    """A text field equals a value. ``key``: app, workspace, agent or slug; workspace and agent also by id."""

    key: str
    values: tuple[str, ...]


class Contains(Term, frozen=True):
    """A text field contains a value. ``key``: reason."""

    key: str
    values: tuple[str, ...]


class Ids(Term, frozen=True):
    """An id equals a value. ``key``: workspace_id or connection_id; values are canonical UUID text."""

    key: str
    values: tuple[str, ...]


class Names(Term, frozen=True):
    """A name the directory knows, or the id behind it, equals a value.

    ``key``: organization, workspace_owner, workspace_owner_email, username or user_email.
    """

    key: str
    values: tuple[str, ...]


class Types(Term, frozen=True):
    """The type equals a value or is an app of the family that the value names."""

    values: tuple[str, ...]


class Methods(Term, frozen=True):
    """The method equals a value."""

    values: tuple[str, ...]


class Addresses(Term, frozen=True):
    """The address lies in a network; ``networks`` are in CIDR form, a single address with its full length."""

    networks: tuple[str, ...]


class Comparison(Struct, frozen=True):
    """``operator`` is one of ``= > >= < <=``; ``value`` is in the unit of the term's key."""

    operator: str
    value: int


class Numbers(Term, frozen=True):
    """A number meets one of the comparisons. ``key``: code, or duration in nanoseconds."""

    key: str
    comparisons: tuple[Comparison, ...]


class Moment(Term, frozen=True):
    """The time is at or after (``key`` connected_after), or at or before (connected_before), ``ns``."""

    key: str
    ns: int


class Status(Term, frozen=True):
    """``ongoing``: no disconnect is known; ``completed``: one is. Neither holds for web connections."""

    values: tuple[str, ...]


class State(Term, frozen=True):
    """The connection's state is a value: ongoing, completed, unknown or point."""

    values: tuple[str, ...]


class Filter(Struct, frozen=True):
    """All terms of a question, in the order they were written; no terms: everything."""

    terms: tuple[Term, ...] = ()


STATES = ("ongoing", "completed", "unknown", "point")
