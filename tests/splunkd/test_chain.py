"""The whole chain: set up a Splunk, run the daemon with the token it gave, verify what arrived, send again what did not."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.errors import StateError
from shipper.journal import DeliveredLedger
from shipper.record import Record
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.service.conftest import Service
from tests.splunk.envelope import envelope
from tests.splunk.searchhead import search_fields
from tests.splunk.test_fields import corpus_records
from tests.splunkd.server import Splunkd
from tests.splunkd.world import BEARER, Event, World
from tests.truth.corpus import SMALL

EVENTS = 60
LOGS = {"json-new", "human-v3", "json-valuer", "stackdriver-v3", "human-seed"}


class Chain:
    """A daemon, a collector and a management port that know of each other."""

    def __init__(self, folder: Path, splunk: Splunkd, collector: HecServer) -> None:
        self.service = Service(folder)
        self.splunk, self.collector = splunk, collector
        self.token_file = folder / "hec-token"
        self.auth = folder / "auth"
        self.auth.write_text(BEARER)
        self.auth.chmod(0o600)
        self.service.config.write_text(
            f'[state]\ndir = "{self.service.state}"\n[metrics]\nlisten = ""\n'
            f'[[input]]\ntype = "file"\npaths = ["{self.service.logs}/*.log"]\n'
            '[[output]]\ntype = "index"\n'
            f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{collector.url}"]\ntoken_file = "hec-token"\n'
            'index = "coder"\nack = "required"\nack_poll = "100ms"\nbatch_age = "50ms"\n'
            '[[output.route]]\nfield = "type"\nvalues = ["tunnel"]\nindex = "tunnels"\n'
        )

    def splunk_command(self, *arguments: str) -> int:
        known = ["--url", self.splunk.url, "--auth-token-file", str(self.auth), "-c", str(self.service.config)]
        return main(["splunk", arguments[0], *known, *arguments[1:]])

    def verify(self, *more: str) -> int:
        return self.splunk_command("verify", "--since", "2026-09-01", "--until", "2026-09-02", "--settle", "0s", *more)

    def delivered(self) -> int:
        """How many events the ledger has, those that were delivered twice twice."""
        try:
            with closing(DeliveredLedger(self.service.state / "journal.db")) as ledger:
                return sum(one.delivered for one in ledger.outputs())
        except StateError:
            return 0  # it is being made just now

    def take_over(self) -> None:
        """What the collector has indexed becomes what a search finds."""
        self.splunk.world.events = [
            Event(str(one.event_id), one.time, one.time, one.index, one.sourcetype, one.host)
            for one in self.collector.events
        ]

    def run_until(self, events: int) -> None:
        """Run the daemon until so many are in the ledger of what was acknowledged, and end it."""
        self.service.start()
        self.service.wait_for(lambda: self.delivered() >= events, "acknowledged events")
        assert self.service.end() == 0, self.service.said()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with Splunkd(World()) as splunk, HecServer(indexes=["coder", "tunnels", "main"]) as collector:
        made = Chain(tmp_path, splunk, collector)
        yield made
        if made.service.process is not None:
            os.kill(made.service.process.pid, signal.SIGKILL)
            made.service.process.wait()


def test_from_a_bare_splunk_to_verified_events(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    """Set-up, delivery, verification, loss in Splunk, resending, and a verification that is content."""
    world, service = chain.splunk.world, chain.service
    assert chain.splunk_command("setup", "--no-addon") == 0
    token = world.tokens["connlog"]
    assert (token["index"], token["indexes"], token["useACK"]) == ("coder", "coder,tunnels", "1")
    assert {"coder", "tunnels"} <= world.indexes.keys()
    value = chain.token_file.read_text().strip()
    chain.collector.tokens.put(Token(value=value, use_ack=True, index="coder", indexes=frozenset({"coder", "tunnels"})))
    service.write(EVENTS)
    chain.run_until(EVENTS)
    chain.take_over()
    assert chain.verify() == 0, capsys.readouterr().out
    lost = world.events[3].id
    assert chain.collector.store.lose(lambda event: event.event_id == lost) == 1
    chain.take_over()
    capsys.readouterr()
    assert chain.verify("--resend", "--output", "json") == 1
    assert [one["id"] for one in json.loads(capsys.readouterr().out)["missing"]] == [lost]
    chain.run_until(EVENTS + 1)
    chain.take_over()
    assert chain.verify() == 0, capsys.readouterr().out


def test_without_c_the_options_say_all(chain: Chain) -> None:
    """Nothing of a configuration is needed before there is one."""
    assert main(["splunk", "setup", "--url", chain.splunk.url, "--auth-token-file", str(chain.auth), "--index", "x", "--no-addon"]) == 0  # fmt: skip
    assert chain.splunk.world.tokens["connlog"]["indexes"] == "x"


def test_an_output_that_the_configuration_does_not_have_is_told(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chain.splunk_command("setup", "--name", "other") == 2
    assert "other" in capsys.readouterr().err
    chain.service.configure()
    assert chain.splunk_command("setup") == 2
    assert "no output to Splunk" in capsys.readouterr().err


def test_what_the_daemon_sends_has_the_form_that_the_add_on_is_tested_with(chain: Chain) -> None:
    """The event and its indexed fields, to the key: so the fields proved for the corpus are those of real events."""
    chain.collector.tokens.put(Token(value="hush-the-first", use_ack=True))
    chain.token_file.write_text("hush-the-first")
    records: dict[str, Record] = {}
    for path in SMALL:
        if path.stem in LOGS:
            (chain.service.logs / path.name).write_bytes(path.read_bytes())
            records |= {record.id: record for record in corpus_records(path)}
    chain.run_until(len(records))
    found = {event.event_id: event for event in chain.collector.events if event.sourcetype == "coder:connection_log"}
    assert found.keys() == records.keys()
    ours = {"_time", "_indextime", "host", "source", "index", "source.host", "source.path", "source.input", "source.offset", "dvc"}  # fmt: skip
    for id_, event in found.items():
        sent = {"time": event.time, "sourcetype": event.sourcetype, "event": event.event, "fields": event.fields}
        real, proved = search_fields(sent), search_fields(envelope(records[str(id_)]))
        for row in (real, proved):
            for name in ours:
                row.pop(name, None)
        assert real == proved
        assert abs(event.time - float(envelope(records[str(id_)])["time"])) < 1e-6
