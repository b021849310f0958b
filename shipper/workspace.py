"""The workspace: the fields of a line that say which one it is, read at once where each is as it mostly is.

There are more workspaces than a processor's cache has room for: to look up what each of these fields gave before takes
longer than to make it anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shipper.form import Form
from shipper.look import GENERAL

WORKSPACE = ("organization_id", "workspace_owner_id", "workspace_id", "workspace_name")
"""What a record says of it, in its order."""

_ID = b"00000000-0000-0000-0000-000000000000"
_IDS = _ID * (len(WORKSPACE) - 1)
_ANY_ID = f".{{{len(_ID)}}}"
"""Looked at afterwards, all at once."""
_PLAIN = r"[0-9A-Za-z._-]++"
"""Of a name: it stands in a record as it stands in either form."""
_NEITHER = "", ""


class Workspace:
    """Reads the fields of a run that say what ``WORKSPACE`` do and stand at its begin: ``keys`` are theirs in their order on the
    line, ``names`` what the line calls them, and the field behind them."""

    def __init__(self, form: Form, keys: Sequence[str | None], names: Sequence[str]) -> None:
        quote = "" if form.human else '"'
        fields = [
            f"{re.escape(form.lead(name) + quote)}(?P<{key}>{_PLAIN if key == 'workspace_name' else _ANY_ID}){quote}"
            for key, name in zip(keys, names, strict=False)
        ]
        rest = f"(?P<rest>{re.escape(form.lead(names[-1]))}.*)"
        found = re.compile(re.escape(form.between).join([*fields, rest]), re.DOTALL)
        self._match = found.fullmatch
        self._groups = [found.groupindex[key] for key in (*WORKSPACE, "rest")]

    def read(self, run: str) -> tuple[str, str]:
        """Its part of the record, and the rest of a run, from the following field on; both are empty where a field is not as
        they mostly are."""
        found, rest = self.texts(run)
        if not found:
            return _NEITHER
        organization, owner, id_, name = found
        return (
            f'"organization_id":"{organization}","workspace_owner_id":"{owner}",'
            f'"workspace_id":"{id_}","workspace_name":"{name}",'
        ), rest

    def texts(self, run: str) -> tuple[tuple[str, ...], str]:
        """As ``read``, but the fields' texts, in the order of ``WORKSPACE``."""
        found = self._match(run)
        if found is None:
            return (), ""
        organization, owner, id_, name, rest = found.group(*self._groups)
        if f"{organization}{owner}{id_}".encode().translate(GENERAL) != _IDS:
            return (), ""
        return (organization, owner, id_, name), rest

    @staticmethod
    def begins(keys: Sequence[str | None]) -> bool:
        """Whether fields that mean these keys begin with those of a workspace, in any order, and go on behind them."""
        return len(keys) > len(WORKSPACE) and set(keys[: len(WORKSPACE)]) == set(WORKSPACE)
