"""The trial: asks every endpoint of every output to Splunk for real, without sending an event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shipper.config import Output, SplunkHecOutput
from shipper.config.secret import read_secret
from shipper.errors import SecretError

NO_DATA = 5
"""HEC's code for a request without an event, which only a token that is good gets."""


def trials(outputs: Sequence[Output]) -> Iterator[tuple[str, bool, str]]:
    """For each endpoint: its name for people, whether events would be taken, and what it says."""
    for output in outputs:
        if isinstance(output, SplunkHecOutput):
            yield from _trial(output)


def _trial(output: SplunkHecOutput) -> Iterator[tuple[str, bool, str]]:
    # Imported here: only who asks for it pays for requests.
    from shipper.outputs.hec.answer import Answer, judge
    from shipper.outputs.hec.client import EVENT_PATH, Line
    from shipper.outputs.hec.tls import tls_context

    try:
        token = read_secret(output.token_file)
        context = tls_context(output)
        for url in output.endpoints:
            line = Line(url, output, context)
            # A channel too: a token with acknowledgement asks for one before it looks at the body.
            headers = {
                "Authorization": f"Splunk {token}",
                "X-Splunk-Request-Channel": "00000000-0000-4000-8000-000000000000",
            }
            response = line.ask("POST", EVENT_PATH, headers, b"")
            line.close()
            if isinstance(response, Answer):
                yield f"{output.name} {url}", False, response.shown
                continue
            answer = judge(response.status, response.body, response.headers, 1, 0)
            good = answer.status == 400 and answer.code == NO_DATA
            yield f"{output.name} {url}", good, "takes the token" if good else answer.shown
    except SecretError as error:
        yield output.name, False, str(error)
