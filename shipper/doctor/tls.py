"""TLS: what a server's certificate is worth, by a handshake and nothing else."""

from __future__ import annotations

import http.client
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.doctor.unit import ask
from shipper.errors import ServiceError

CHECK = "tls"
CONNECT_SECONDS = 5.0
DAY_SECONDS = 86_400
GRAVE_DAYS, THIN_DAYS = 7, 30
"""A certificate that ends so soon is a problem, or worth a warning."""
_ADVICE = {
    9: "it is not valid yet: look at this machine's clock, else at the certificate",
    10: "it has expired: renew it on the server, or look at this machine's clock",
    18: "it is signed by itself: give its own certificate as ca_file",
    19: "its authority is not known here: give the authority's certificate as ca_file",
    20: "its authority is not known here, or the server sends no intermediate certificate: give the authority's as ca_file",
    21: "the server does not send its intermediate certificates: have it send the whole chain",
    62: "the certificate is another host's: write the name that is in it as the endpoint",
    64: "the certificate is not for this address: write the name that is in it as the endpoint",
}
"""By OpenSSL's number of the reason (x509_vfy.h)."""


def of_server(
    key: str, url: str, context: ssl.SSLContext, option: str, proxy: str = "", credentials: str = ""
) -> Iterator[Finding]:
    """A handshake with the server of an https URL, through ``proxy`` where one is given. Yields a problem where it fails.

    ``option`` is what sets the certificates; ``credentials`` are user:password of the proxy.
    """
    host, port = _place(url)
    where = f"{key} {url}"
    try:
        connection = _connect(host, port, context, proxy, credentials)
    except ssl.SSLCertVerificationError as error:
        advice = _ADVICE.get(error.verify_code, f"see {option}").replace("ca_file", option)
        yield problem(CHECK, where, f"the certificate is refused: {error.verify_message}", advice)
        return
    except ssl.SSLError as error:
        what = (error.reason or "failed").replace("_", " ").lower()
        yield problem(
            CHECK, where, f"TLS fails: {what}", "is it plain http there, or an older TLS than tls_min allows?"
        )
        return
    except TimeoutError:
        text = f"no connection with TLS in {CONNECT_SECONDS:g} seconds"
        yield problem(CHECK, where, text, "is it plain http there? check the address and the firewall")
        return
    except OSError as error:
        yield problem(
            CHECK, where, f"no connection: {error.strerror or error}", "check the address, name service, firewall"
        )
        return
    except http.client.HTTPException as error:
        yield problem(CHECK, where, f"no tunnel through the proxy: {type(error).__name__}", "check the proxy")
        return
    try:
        sock = connection.sock
        assert isinstance(sock, ssl.SSLSocket)
        certificate = sock.getpeercert() or {}
        version = sock.version() or "TLS"
    finally:
        connection.close()
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        text = f"{version}, and certificates are not checked: anyone on the way can take the token"
        yield problem(CHECK, where, text, f"give {option}, and remove tls_verify = false")
        return
    yield _validity(where, f"{version}, the certificate fits {host} and is trusted", ssl.cert_time_to_seconds(ends))


def of_file(key: str, path: Path) -> Iterator[Finding]:
    """When a certificate in a file ends, asked of openssl where that is there."""
    try:
        said = ask("openssl", "x509", "-noout", "-enddate", "-in", str(path))
    except ServiceError:
        return
    name, _, ends = said.out.strip().partition("=")
    if said.code or name != "notAfter":
        return
    yield _validity(f"{key} {path}", "the certificate can be read", ssl.cert_time_to_seconds(ends))


def _validity(where: str, what: str, ends: float) -> Finding:
    days = (ends - time.time()) / DAY_SECONDS
    until = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if days < 0:
        return problem(CHECK, where, f"{what}, but ended {until}", "renew it")
    if days < GRAVE_DAYS:
        return problem(CHECK, where, f"{what}, but ends {until}, in {days:.0f} days", "renew it")
    if days < THIN_DAYS:
        return warning(CHECK, where, f"{what}, but ends {until}, in {days:.0f} days", "renew it")
    return ok(CHECK, where, f"{what}, until {until}")


def unencrypted(key: str, url: str) -> Finding:
    """What is to be said of plain http."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return note(CHECK, f"{key} {url}", "plain http, on this machine")
    return warning(CHECK, f"{key} {url}", "plain http: the token and the events can be read on the way", "use https")


def _connect(
    host: str, port: int, context: ssl.SSLContext, proxy: str, credentials: str
) -> http.client.HTTPSConnection:
    if not proxy:
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=context)
    else:
        through, at = _place(proxy)
        connection = http.client.HTTPSConnection(through, at, timeout=CONNECT_SECONDS, context=context)
        shown = b64encode(credentials.encode()).decode()
        connection.set_tunnel(host, port, {"Proxy-Authorization": f"Basic {shown}"} if credentials else {})
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _place(url: str) -> tuple[str, int]:
    split = urlsplit(url)
    return split.hostname or "", split.port or (443 if split.scheme == "https" else 80)
