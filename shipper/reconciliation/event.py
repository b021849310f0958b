"""Events out of the API: what a row of Coder's connection log tells, as the records its log lines would have become.

Nothing is invented: the row's id is that of the first event of its connection; the id of a disconnect is in no answer, so
it is derived from the row's and marked as such in ``extra.derived_id``. ``log.format`` is ``api``.
"""

from __future__ import annotations

import uuid
from typing import Any

from shipper.coder.answer import NIL_ID
from shipper.coder.walk import LogRow
from shipper.normalisation import Normaliser
from shipper.parsing.result import Parsed
from shipper.record import Log, Record, Source

INPUT = "coder_api"
DERIVED = uuid.UUID("7c1f3f4e-9b39-5d0e-8a55-0f6a1b0c5e2d")
"""The namespace of derived ids (UUID version 5)."""
_NAMED_METHODS = ("ssh", "reconnecting_pty")


class ApiEvents:
    """Makes records of rows; ``host`` is this machine, ``url`` where Coder is."""

    def __init__(self, host: str, url: str) -> None:
        self._source = Source(host=host, input=INPUT, path=url)
        self._normaliser = Normaliser()

    def of(self, row: LogRow, *, connect: bool = True, disconnect: bool = True) -> list[Record]:
        """The records of a row: its connect event, and its disconnect event where it has one, as far as wanted."""
        body = row.row
        shared = self._shared(row)
        if body.ssh_info is None:
            return [self._record({"ID": body.id, "Time": body.connect_time, **shared})] if connect else []
        info = body.ssh_info
        ended = info.disconnect_time
        # Equal times: the row was made of a disconnect, or the writer merged the two and lost the connect's time.
        single = ended is not None and ended == body.connect_time
        found = []
        if connect and not single:
            found.append(self._record({"ID": body.id, "Time": body.connect_time, **shared}))
        if ended is not None and (disconnect or (connect and single)):
            id_ = body.id if single else str(uuid.uuid5(DERIVED, body.id.lower()))
            end = {"Code": info.exit_code, "DisconnectReason": info.disconnect_reason or ""}
            beside = {} if single else {"derived_id": body.id}
            fields = {**shared, "ID": id_, "Time": ended, "ConnectionStatus": "disconnected", **end, **beside}
            found.append(self._record(fields))
        return found

    def _shared(self, row: LogRow) -> dict[str, Any]:
        body = row.row
        web, info = body.web_info, body.ssh_info
        connection = info.connection_id if info is not None else None
        fields: dict[str, Any] = {
            "OrganizationID": body.organization.id or None,
            "WorkspaceOwnerID": body.workspace_owner_id or None,
            "WorkspaceID": body.workspace_id or None,
            "WorkspaceName": body.workspace_name,
            "AgentName": body.agent_name,
            "Code": (web.status_code or None) if web is not None else None,
            "IP": body.ip,
            "UserAgent": web.user_agent if web is not None else "",
            "UserID": web.user.id or None if web is not None and web.user is not None else None,
            "ConnectionID": None if connection == NIL_ID else connection,
            "ConnectionStatus": "connected",
        }
        slug = web.slug_or_port if web is not None else ""
        if body.connection_method:
            named = body.connection_method in _NAMED_METHODS
            fields |= {"ConnectionMethod": body.connection_method, "AppNameOrPort": body.app_name if named else slug}
        else:
            fields |= {"Type": body.type, "SlugOrPort": slug}
        return fields

    def _record(self, fields: dict[str, Any]) -> Record:
        # An order of its own: the same keys give the same plan.
        keys = tuple(sorted(fields))
        parsed = Parsed(keys, [fields[key] for key in keys], Log(format="api"), human=False)
        return self._normaliser.build(parsed, self._source)
