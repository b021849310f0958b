"""The settings of an output to Splunk's HTTP Event Collector, each field with the option it is read from."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from shipper.config.kind import (
    Collectors,
    Count,
    IndexName,
    Name,
    NeededSecret,
    Route,
    Routes,
    SourceType,
    Switch,
    Words,
)
from shipper.config.option import Choice, Duration, Option, OptionalFile, Size, WebAddress

_SECOND_MS = 1000
ACKS = ("auto", "required", "off")
COMPRESSIONS = ("gzip", "none")
TLS_VERSIONS = ("1.2", "1.3")


class SplunkHecOutput(Struct, frozen=True, kw_only=True):
    """Splunk, by its HTTP Event Collector."""

    type: Annotated[str, Option("type", Choice(("splunk_hec",)), "The type of the output; must be given.")] = (
        "splunk_hec"
    )
    name: Annotated[
        str,
        Option(
            "name",
            Name(),
            "What it is called in status, metrics and commands; no two outputs share one. Its place in the journal "
            "belongs to the name: under a new name it begins with everything that is in the journal.",
        ),
    ] = "splunk_hec"
    endpoints: Annotated[
        tuple[str, ...],
        Option(
            "endpoints",
            Collectors(),
            "Where the collectors are, such as `https://splunk.example.com:8088`; `/services/collector/event` is added. "
            "Requests are spread evenly over those that work, and one that fails is left out until it is well again.",
        ),
    ]
    token_file: Annotated[
        Path,
        Option(
            "token_file",
            NeededSecret(),
            "The file with the token in its first line; a relative name is looked for in `$CREDENTIALS_DIRECTORY`, then "
            "beside this file. It is read again when it changes and when the token is refused.",
        ),
    ]
    index: Annotated[
        str,
        Option("index", IndexName(), "The index that events go to; without it the token's default."),
    ] = ""
    sourcetype: Annotated[
        str,
        Option(
            "sourcetype",
            SourceType(),
            "The source type of events; known losses always have `connlog:gap`. The add-on knows the default.",
        ),
    ] = "coder:connection_log"
    route: Annotated[
        tuple[Route, ...],
        Option(
            "route",
            Routes(),
            "Other indexes or source types for some events: each table has a `field` of the record (status, type, "
            "method, app, code or an id), the `values` it fits, and `index` or `sourcetype`. The first that fits is taken.",
        ),
    ] = ()
    filter: Annotated[
        str,
        Option(
            "filter",
            Words("a query on single events", "type:ssh -username:ci"),
            "Which events this output gets, in the language of `connlog search`; all without it. It is asked of single "
            "events, so `status:`, `state:` and `duration:`, which are about connections, can't be in it. Where a name decides "
            "that is not known yet the event is sent and counted, after `names_wait`.",
        ),
    ] = ""
    gaps: Annotated[
        bool,
        Option("gaps", Switch(), "Whether known losses are sent too, whatever the filter says."),
    ] = True
    ack: Annotated[
        str,
        Option(
            "ack",
            Choice(ACKS),
            "Indexer acknowledgement: with `required` nothing is delivered before it is acknowledged, and a token "
            "without it holds everything; `auto` waits for it where the server offers it, and says when it doesn't; "
            "`off` never asks.",
        ),
    ] = "auto"
    ack_poll_seconds: Annotated[
        float,
        Option("ack_poll", Duration(100, 300 * _SECOND_MS, whole=False), "How often acknowledgements are asked for."),
    ] = 2.0
    ack_timeout_seconds: Annotated[
        float,
        Option(
            "ack_timeout",
            Duration(1 * _SECOND_MS, 3600 * _SECOND_MS, whole=False),
            "After which events that were not acknowledged are sent again, and counted as possible duplicates.",
        ),
    ] = 300.0
    ack_pending_max_count: Annotated[
        int,
        Option(
            "ack_pending_max",
            Count(1, 100_000),
            "How many requests may wait for their acknowledgement; then nothing more is sent until some came.",
        ),
    ] = 1000
    batch_max_bytes: Annotated[
        int,
        Option(
            "batch_max",
            Size(16 << 10, 256 << 20),
            "The largest body of a request, before compression. Where the server takes less, it is halved until it fits.",
        ),
    ] = 960 << 10
    batch_max_events: Annotated[int, Option("batch_events", Count(1, 100_000), "The most events of a request.")] = 1000
    batch_age_seconds: Annotated[
        float,
        Option(
            "batch_age",
            Duration(0, 60 * _SECOND_MS, whole=False),
            "How long an event may wait for others to share its request.",
        ),
    ] = 1.0
    compression: Annotated[
        str, Option("compression", Choice(COMPRESSIONS), "How bodies are compressed on their way.")
    ] = "gzip"
    in_flight: Annotated[
        int,
        Option("in_flight", Count(1, 32), "How many requests may be on their way at once, over all endpoints."),
    ] = 4
    connect_timeout_seconds: Annotated[
        float,
        Option("connect_timeout", Duration(100, 60 * _SECOND_MS, whole=False), "How long connecting may take."),
    ] = 10.0
    read_timeout_seconds: Annotated[
        float,
        Option(
            "read_timeout",
            Duration(100, 300 * _SECOND_MS, whole=False),
            "How long the server may be silent while it is to answer.",
        ),
    ] = 60.0
    total_timeout_seconds: Annotated[
        float,
        Option(
            "total_timeout",
            Duration(100, 600 * _SECOND_MS, whole=False),
            "How long a request may take as a whole, however busy the connection looks.",
        ),
    ] = 90.0
    backoff_max_seconds: Annotated[
        float,
        Option(
            "backoff_max",
            Duration(100, 3600 * _SECOND_MS, whole=False),
            "The longest wait between attempts at an endpoint that fails, unless it asks for more by Retry-After (an "
            "hour at most). Attempts never end.",
        ),
    ] = 60.0
    ca_file: Annotated[
        Path | None,
        Option(
            "ca_file",
            OptionalFile(),
            "Certificates, in PEM form, that the server's own is checked against instead of the system's.",
        ),
    ] = None
    client_cert_file: Annotated[
        Path | None, Option("client_cert_file", OptionalFile(), "A certificate, in PEM form, to show to the server.")
    ] = None
    client_key_file: Annotated[
        Path | None,
        Option("client_key_file", OptionalFile(secret=True), "Its key, where that is not in the same file."),
    ] = None
    tls_min_version: Annotated[
        str, Option("tls_min", Choice(TLS_VERSIONS), "The oldest version of TLS that is spoken.")
    ] = "1.2"
    names_wait_seconds: Annotated[
        float,
        Option(
            "names_wait",
            Duration(0, 300 * _SECOND_MS, whole=False),
            "How long a new event may wait, from when it was read, until Coder was asked for somebody in it whom nobody "
            "knows. Without a wait such an event goes out with its ids only.",
        ),
    ] = 0.0
    attribution: Annotated[
        bool,
        Option(
            "attribution",
            Switch(),
            "Whether sessions, which name no user, are sent with `attribution` and `attributed_user` as the index tells "
            "them then; it costs a look into the index for each.",
        ),
    ] = False
    tls_verify: Annotated[
        bool,
        Option(
            "tls_verify",
            Switch(),
            "Whether the server's certificate is checked. With `false` anyone on the way can read the token and the "
            "events, or take them: give `ca_file` instead.",
        ),
    ] = True
    proxy: Annotated[
        str, Option("proxy", WebAddress(), "An HTTP proxy on the way, such as `http://proxy.example.com:3128`.")
    ] = ""
    proxy_auth_file: Annotated[
        Path | None,
        Option(
            "proxy_auth_file",
            OptionalFile(secret=True),
            "The file with `user:password` for the proxy in its first line.",
        ),
    ] = None
