"""Coder: whether its API answers, takes the token, and lets it see what is asked of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from msgspec.structs import replace

from shipper.coder.answer import LogPage, UserPage
from shipper.coder.client import CoderClient
from shipper.coder.right import ALL, SOME, Right, rights
from shipper.coder.walk import list_organizations
from shipper.config import CoderApiInput, Config
from shipper.config.secret import refuse_pipe
from shipper.doctor import tls
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.doctor.secret import token_of
from shipper.doctor.unit import Unit
from shipper.errors import RemoteError, RemoteMissing, RemoteRefused, SecretError

CHECK = "coder"
ANSWER_SECONDS = 5.0


def examine(case: Case) -> Iterator[Finding]:
    """Its answers to a few harmless questions."""
    if case.config is not None:
        yield from of_api(case.config, case.unit)


def of_api(config: Config, unit: Unit | None) -> Iterator[Finding]:
    """Coder as a configuration names it."""
    settings = config.coder
    if not settings.url:
        return
    needs_log = any(isinstance(source, CoderApiInput) for source in config.inputs)
    settings = replace(
        settings,
        token_file=token_of(config, unit, "coder.token_file", settings.token_file),
        timeout_seconds=min(ANSWER_SECONDS, settings.timeout_seconds),
    )
    where = settings.url
    if where.startswith("https:"):
        try:
            refuse_pipe(settings.ca_file)
            context = ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ssl.SSLError):
            yield problem(CHECK, where, f"coder.ca_file {settings.ca_file} holds no certificates", "name another file")
            return
        findings = list(tls.of_server("coder", where, context, "coder.ca_file"))
        yield from findings
        if any(finding.severity == "problem" for finding in findings):
            return
    else:
        yield tls.unencrypted("coder", where)
    try:
        with CoderClient(settings, attempts=1) as client:
            yield ok(CHECK, where, f"answers, version {client.build_info().version[:60] or 'unknown'}")
            me = client.me()
            yield ok(CHECK, where, f"takes the token of {me.username[:60] or 'somebody'}")
            organizations = {one.id.lower(): one.name for one in list_organizations(client)}
            seen = rights(client.my_roles(), organizations)
            users, workspaces = seen["users"], seen["workspaces"]
            if users.scope == ALL:
                client.get("users", UserPage, {"limit": 1})
                yield ok(CHECK, where, "lists all users")
            else:
                held = ", ".join(sorted(role.name for role in me.roles)) or "member"
                text = f"the token's roles ({held}) may not list users"
                yield warning(CHECK, where, text, "take the token of an Auditor, so that names are known")
            if workspaces.scope == ALL:
                yield ok(CHECK, where, "lists all workspaces")
            else:
                text = f"the token lists {_shown(workspaces)} workspaces, so the templates of others stay unknown"
                yield note(CHECK, where, text, "only an Owner's token, or a Template Admin's, lists all")
            page = client.get("connectionlog", LogPage, {"limit": 1})
            yield from _log(page, seen["connection log"], where, needed=needs_log)
    except SecretError as error:
        if isinstance(error.__cause__, PermissionError):
            yield note(
                CHECK, where, "its token may not be read by who looks", "run it as root, or as the service's user"
            )
        else:
            yield problem(CHECK, where, str(error), "then try it: connlog check --connect")
    except (RemoteRefused, RemoteMissing) as error:
        advice = "a new token of an Auditor into its file; the connection log takes Coder Premium"
        if needs_log or "connectionlog" not in str(error):
            yield problem(CHECK, where, str(error), advice)
        else:
            yield note(CHECK, where, f"its connection log is closed: {error}", advice + "; nothing here asks for it")
    except RemoteError as error:
        yield problem(
            CHECK, where, str(error), "what needs Coder waits and is tried again; check coder.url and the way there"
        )


def _shown(right: Right) -> str:
    return f"only {', '.join(right.of)[:60]}'s" if right.scope == SOME else "only its own"


def _log(page: LogPage, right: Right, where: str, *, needed: bool) -> Iterator[Finding]:
    if right.scope == ALL:
        yield ok(CHECK, where, "shows the connection log")
        return
    text = "the token's roles may not see the connection log: Coder gives an empty list to it, and no error"
    advice = "take the token of an Auditor or Owner"
    if right.scope == SOME or page.connection_logs:
        of = f" ({', '.join(right.of)[:60]})" if right.of else ""
        yield ok(CHECK, where, f"shows the connection log, of the token's own organizations{of}")
    elif needed:
        yield problem(CHECK, where, text, advice)
    else:
        yield note(CHECK, where, text, advice + ", for 'connlog reconcile'")
