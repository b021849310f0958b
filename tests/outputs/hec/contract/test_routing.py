"""A table of the configuration alone says which index an event goes to; several outputs get each what their filters say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.hec import fault
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.contract.conftest import QUICK, event_id
from tests.service.conftest import json_line

if TYPE_CHECKING:
    from tests.outputs.hec.contract.conftest import Shipper

OTHER_TOKEN = "22222222-2222-4333-8444-555555555555"
ROUTES = """
[[output.route]]
field = "type"
values = ["workspace_app", "port_forwarding"]
index = "web"
sourcetype = "coder:web"

[[output.route]]
field = "code"
values = [401, 403]
index = "denied"

[[output.route]]
field = "user_id"
values = ["00000000-0000-0000-0000-0000000000aa"]
index = "watched"
"""
HOSTILE = (
    '","index":"denied"',
    'denied","sourcetype":"evil',
    '{"index":"web"}',
    '","code":403,"x":"',
    "web\u0000\u2028\nindex=web",
)
"""What a client may send as its user agent."""


def log(shipper: Shipper, *events: Mapping[str, object]) -> None:
    """Writes events, each with fields of its own."""
    with shipper.log.open("ab") as file:
        for fields in events:
            line = json.loads(json_line(shipper.written, None))
            line["fields"] |= fields
            file.write(json.dumps(line).encode() + b"\n")
            shipper.written += 1


def places(server: HecServer) -> dict[str, tuple[str, str]]:
    """Index and source type of each event."""
    return {event.event_id or "": (event.index, event.sourcetype) for event in server.events}


def test_routes_choose_by_closed_fields_and_the_first_that_fits_is_taken(shipper: Shipper, server: HecServer) -> None:
    server.collector.indexes = None
    shipper.configure(server, tables=ROUTES)
    watched = "00000000-0000-0000-0000-0000000000aa"
    log(
        shipper,
        {},
        {"Type": "workspace_app", "ConnectionID": None, "Code": 200},
        {"Type": "port_forwarding", "ConnectionID": None, "Code": 403, "UserID": watched},
        {"Type": "tunnel", "ConnectionID": None, "Code": 403, "UserID": watched},
        {"Type": "tunnel", "ConnectionID": None, "Code": 200, "UserID": watched},
    )
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    usual = "coder:connection_log"
    assert places(server) == {
        event_id(0): ("main", usual),
        event_id(1): ("web", "coder:web"),
        event_id(2): ("web", "coder:web"),
        event_id(3): ("denied", usual),
        event_id(4): ("watched", usual),
    }


def test_no_text_of_a_log_chooses_an_index_by_itself(shipper: Shipper, server: HecServer) -> None:
    """Whatever stands in whichever free text."""
    shipper.configure(server, tables=ROUTES)
    free = (
        "UserAgent",
        "AgentName",
        "WorkspaceName",
        "SlugOrPort",
        "DisconnectReason",
        "index",
        "sourcetype",
        "fields",
    )
    log(shipper, *({key: text} for key in free for text in HOSTILE))
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert set(places(server).values()) == {("main", "coder:connection_log")}
    assert len(server.store) == len(free) * len(HOSTILE)
    assert server.store.duplicates() == 0


def test_one_place_that_is_refused_holds_the_output_and_doubles_nothing(shipper: Shipper) -> None:
    """The token may not write to the index of a route: everything waits until it may."""
    with HecServer(Token(indexes=frozenset({"main"})), indexes=["main", "web", "denied", "watched"]) as server:
        shipper.configure(server, tables=ROUTES, batch_age="1s")
        log(shipper, {}, {}, {"Type": "workspace_app", "ConnectionID": None}, {}, {})
        shipper.start()
        shipper.wait_for(shipper.waits_with("Incorrect index"), "the reason in the status")
        server.tokens.put(Token())
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == Counter(map(event_id, range(5)))
        assert places(server)[event_id(2)] == ("web", "coder:web")


def test_several_outputs_get_each_what_its_filter_says_and_none_waits_for_another(shipper: Shipper) -> None:
    """To Splunks of their own, with tokens of their own; one of them is down, one fails, the third has it all."""
    with HecServer() as everything, HecServer(Token(value=OTHER_TOKEN)) as tunnels, HecServer() as ssh:
        other = shipper.folder / "other-token"
        other.touch(0o600)
        other.write_text(OTHER_TOKEN)

        def output(name: str, server: HecServer, token: object, **options: object) -> str:
            given = {"name": name, "endpoints": [server.url], "token_file": str(token), **QUICK, **options}
            rows = "\n".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
            return f'[[output]]\ntype = "splunk_hec"\n{rows}\n'

        tables = output("tunnels", tunnels, other, filter="type:tunnel", index="security")
        tables += output("ssh", ssh, shipper.token_file, filter="type:ssh", gaps=False)
        shipper.configure(everything, tables=tables)
        tunnels.script.add(fault.code(8), times=3)
        ssh.down()
        kinds: list[Mapping[str, object]] = [{}, {"Type": "tunnel", "ConnectionID": None}, {"Type": "reconnecting_pty"}]
        log(shipper, *(kinds * 30))
        shipper.start()
        shipper.wait_settled()
        shipper.wait_for(lambda: len(tunnels.store) == 30, "the tunnels")
        assert len(everything.store) == 90
        assert len(ssh.store) == 0
        ssh.up()
        shipper.wait_for(lambda: len(ssh.store) == 30, "the sessions")
        shipper.stop()
        assert everything.store.counts() == Counter(map(event_id, range(90)))
        assert tunnels.store.counts() == Counter(map(event_id, range(1, 90, 3)))
        assert ssh.store.counts() == Counter(map(event_id, range(0, 90, 3)))
        assert {index for index, _ in places(tunnels).values()} == {"security"}
        assert OTHER_TOKEN not in shipper.said()
