"""The collector: whether each endpoint of each output to Splunk takes events, asked without sending one.

A collector tells whether the token may write to the index only of an event, so that is asked where ``send`` is given.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shipper.config import Config, SplunkHecOutput
from shipper.config.secret import read_secret
from shipper.doctor import tls
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.doctor.secret import token_of
from shipper.doctor.unit import Unit
from shipper.errors import ConfigError, SecretError

if TYPE_CHECKING:
    from shipper.outputs.hec.answer import Answer
    from shipper.outputs.hec.client import Line, Response
    from shipper.outputs.hec.tls import Trust

CHECK = "splunk"
CONNECT_SECONDS, ANSWER_SECONDS, WHOLE_SECONDS = 5.0, 5.0, 8.0
ENDPOINTS_MAX_COUNT = 16
"""Of more endpoints of one output only the first are asked."""
NO_DATA, NO_ACK = 5, 14
"""HEC's codes for a request without an event, which only a token that is good gets, and for a token without acknowledgement."""
CHANNEL = "00000000-0000-4000-8000-000000000000"
TEST_SOURCETYPE = "connlog:check"


def examine(case: Case) -> Iterator[Finding]:
    """Every endpoint, without sending an event."""
    if case.config is not None:
        yield from of_outputs(case.config, case.unit)


def of_outputs(config: Config, unit: Unit | None, *, send: bool = False) -> Iterator[Finding]:
    """Every endpoint of every output; ``send``: also one event, to try the index."""
    for number, output in enumerate(config.outputs, start=1):
        if isinstance(output, SplunkHecOutput):
            key = f"output[{number}]"
            proxy = output.proxy_auth_file
            found = replace(
                output,
                token_file=token_of(config, unit, f"{key}.token_file", output.token_file) or output.token_file,
                proxy_auth_file=token_of(config, unit, f"{key}.proxy_auth_file", proxy),
                connect_timeout_seconds=min(CONNECT_SECONDS, output.connect_timeout_seconds),
                read_timeout_seconds=min(ANSWER_SECONDS, output.read_timeout_seconds),
                total_timeout_seconds=min(WHOLE_SECONDS, output.total_timeout_seconds),
            )
            yield from _of_output(found, send=send)


def _of_output(output: SplunkHecOutput, *, send: bool) -> Iterator[Finding]:
    # Imported here: only who asks for it needs it.
    from shipper.outputs.hec.tls import Trust

    try:
        token = read_secret(output.token_file)
        credentials = read_secret(output.proxy_auth_file) if output.proxy_auth_file is not None else ""
        trust = Trust(output)
    except SecretError as error:
        if isinstance(error.__cause__, PermissionError):
            what = f"{output.token_file} may not be read by who looks, so Splunk can't be asked"
            yield note(CHECK, output.name, what, "run it as root, or as the service's user")
        else:
            yield problem(CHECK, output.name, str(error), "then try it: connlog check --connect")
        return
    except ConfigError as error:
        yield problem(CHECK, output.name, "; ".join(error.problems), "mend the file, or name another one")
        return
    if output.client_cert_file is not None:
        yield from tls.of_file(f"{output.name} client_cert_file", output.client_cert_file)
    for url in output.endpoints[:ENDPOINTS_MAX_COUNT]:
        sound = True
        if url.startswith("https:"):
            for finding in tls.of_server(
                output.name, url, trust.context(time.monotonic()), "ca_file", output.proxy, credentials
            ):
                sound = sound and finding.severity != "problem"
                yield finding
        else:
            yield tls.unencrypted(output.name, url)
        if sound or not output.tls_verify:
            line = _Bounded(url, output, trust, token)
            try:
                yield from _of_endpoint(line, output, send=send)
            finally:
                line.close()
    if len(output.endpoints) > ENDPOINTS_MAX_COUNT:
        yield note(CHECK, output.name, f"only the first {ENDPOINTS_MAX_COUNT} endpoints were asked")


class _Bounded:
    """A line to one endpoint whose requests end in time whatever the server does."""

    def __init__(self, url: str, output: SplunkHecOutput, trust: Trust, token: str) -> None:
        from shipper.outputs.hec.client import Line

        self.url = url
        self._seconds = output.total_timeout_seconds
        self._line: Line = Line(url, output, trust)
        # A channel too: a token with acknowledgement asks for one before it looks at the body.
        self._headers = {"Authorization": f"Splunk {token}", "X-Splunk-Request-Channel": CHANNEL}

    def ask(self, method: str, path: str, body: bytes | None = None, *, token: bool = True) -> Response | Answer:
        headers: Mapping[str, str] = self._headers if token else {}
        timer = threading.Timer(self._seconds, self._line.cut)
        timer.daemon = True
        timer.start()
        try:
            return self._line.ask(method, path, headers, body)
        finally:
            timer.cancel()

    def close(self) -> None:
        self._line.close()


def _of_endpoint(line: _Bounded, output: SplunkHecOutput, *, send: bool) -> Iterator[Finding]:
    from shipper.outputs.hec.answer import Answer, judge, judge_health
    from shipper.outputs.hec.client import EVENT_PATH, HEALTH_PATH

    where = f"{output.name} {line.url}"
    response = line.ask("GET", HEALTH_PATH, token=False)
    if isinstance(response, Answer):
        yield problem(CHECK, where, response.shown, "check the address, the port (8088 is usual), proxy and firewall")
        return
    health = judge_health(response.status, response.body, response.headers)
    if health.verdict.value != "taken":
        yield problem(CHECK, where, f"is not well: {health.shown}", "look at Splunk; what is read waits in the journal")
    response = line.ask("POST", EVENT_PATH, b"")
    if isinstance(response, Answer):
        yield problem(CHECK, where, response.shown, "check the address, the port (8088 is usual), proxy and firewall")
        return
    answer = judge(response.status, response.body, response.headers, 1, 0)
    if answer.status != 400 or answer.code != NO_DATA:
        advice = (
            "give the endpoint of a collector"
            if answer.foreign
            else "'connlog splunk setup' makes a token and enables it"
        )
        yield problem(CHECK, where, answer.shown, advice)
        return
    yield ok(CHECK, where, "takes the token")
    yield from _acknowledgement(line, output, where)
    # Log text chooses none of them: each of the configuration's is asked for.
    for index in dict.fromkeys([output.index, *(route.index for route in output.route if route.index)]):
        yield from _index(line, index, where, send=send)


def _acknowledgement(line: _Bounded, output: SplunkHecOutput, where: str) -> Iterator[Finding]:
    from shipper.outputs.hec.answer import Answer, judge_acks
    from shipper.outputs.hec.client import ACK_PATH

    response = line.ask("POST", f"{ACK_PATH}?channel={CHANNEL}", b'{"acks":[0]}')
    if isinstance(response, Answer):
        yield warning(CHECK, where, f"says nothing of acknowledgement: {response.shown}", "check what lies between")
        return
    _, answer = judge_acks(response.status, response.body)
    offered = answer.verdict.value == "taken"
    if offered and output.ack == "off":
        text = 'offers acknowledgement, and ack = "off" does not ask for it'
        yield note(CHECK, where, text, 'ack = "auto" tells what was indexed from what was only accepted')
    elif offered:
        yield ok(CHECK, where, "offers acknowledgement: an event counts as delivered when it is indexed")
    elif answer.code != NO_ACK:
        yield warning(CHECK, where, f"says nothing of acknowledgement: {answer.shown}", "check what lies between")
    elif output.ack == "required":
        text = 'offers no acknowledgement, and ack = "required" holds everything until it does'
        yield problem(CHECK, where, text, 'enable it for the token in Splunk, or set ack = "auto"')
    else:
        text = "offers no acknowledgement: an accepted event counts as delivered, though it may not be indexed"
        yield note(CHECK, where, text, "enable it for the token where Splunk has it; 'connlog splunk verify' compares")


def _index(line: _Bounded, wanted: str, where: str, *, send: bool) -> Iterator[Finding]:
    from shipper.outputs.hec.answer import Answer, judge
    from shipper.outputs.hec.client import EVENT_PATH

    index = wanted or "the token's own index"
    if not send:
        text = f"whether it writes to {index} is told of an event only, and none was sent"
        yield note(CHECK, where, text, "'connlog check --connect --send-event' sends one")
        return
    event = {"sourcetype": TEST_SOURCETYPE, "time": int(time.time()), "event": {"check": "sent by connlog check"}}
    if wanted:
        event["index"] = wanted
    body = json.dumps(event).encode()
    response = line.ask("POST", EVENT_PATH, body)
    answer = (
        response
        if isinstance(response, Answer)
        else judge(response.status, response.body, response.headers, 1, len(body))
    )
    if answer.verdict.value == "taken":
        yield ok(CHECK, where, f"took an event for {index}, of source type {TEST_SOURCETYPE}")
    else:
        yield problem(
            CHECK, where, f"did not take an event for {index}: {answer.shown}", "'connlog splunk setup' makes it"
        )
