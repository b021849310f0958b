"""Several endpoints share the work; one that fails is left out until it is well; transport is safe by default."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hec import fault
from tests.hec.certificate import Authority
from tests.hec.proxy import Proxy
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.contract.conftest import ids

if TYPE_CHECKING:
    from tests.outputs.hec.contract.conftest import Shipper


def together(*servers: HecServer) -> dict[str, int]:
    """What all servers hold."""
    counts = servers[0].store.counts()
    for server in servers[1:]:
        counts += server.store.counts()
    return dict(counts)


def test_work_is_spread_over_all_endpoints(shipper: Shipper) -> None:
    with HecServer() as one, HecServer() as two:
        shipper.configure(one, two, batch_events=10)
        shipper.write(400)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert together(one, two) == ids(range(400))
        assert min(len(one.store), len(two.store)) >= 80


@pytest.mark.parametrize("ack", ["off", "required"])
def test_an_endpoint_that_is_down_is_left_out_and_comes_back(shipper: Shipper, ack: str) -> None:
    token = Token(use_ack=ack == "required")
    with HecServer(token) as one, HecServer(token) as two:
        shipper.configure(one, two, batch_events=10, ack=ack)
        two.down()
        shipper.write(100)
        shipper.start()
        shipper.wait_settled()
        assert one.store.counts() == ids(range(100))
        two.up()
        shipper.wait_for(lambda: bool(shipper.write(20)) and len(two.store) > 0, "work for the second")
        shipper.wait_settled()
        shipper.stop()
        assert together(one, two) == ids(range(shipper.written))


def test_all_endpoints_may_be_down_for_a_while(shipper: Shipper) -> None:
    with HecServer() as one, HecServer() as two:
        shipper.configure(one, two)
        one.down()
        two.down()
        shipper.write(100)
        shipper.start()
        shipper.wait_for(lambda: bool(shipper.output().get("last_error")), "the reason in the status")
        shipper.write(100)
        shipper.wait_for(lambda: shipper.pending() == 200, "all in the journal")
        one.up()
        two.up()
        shipper.wait_settled()
        shipper.stop()
        assert together(one, two) == ids(range(200))


def test_a_sick_endpoint_does_not_slow_the_other(shipper: Shipper) -> None:
    with HecServer() as sick, HecServer() as well:
        sick.script.always(fault.code(9), to="")
        shipper.configure(sick, well, batch_events=10)
        shipper.write(300)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert well.store.counts() == ids(range(300))
        assert len(sick.store) == 0


def test_a_slow_endpoint_does_not_hold_the_other(shipper: Shipper) -> None:
    with HecServer() as slow, HecServer() as quick:
        slow.script.always(fault.slow_answer(3.0))
        shipper.configure(slow, quick, batch_events=10)
        shipper.write(400)
        shipper.start()
        quick.wait_events(200)
        shipper.wait_settled()
        shipper.stop()
        assert together(slow, quick) == ids(range(400))
        assert len(quick.store) > len(slow.store)


@pytest.mark.parametrize("take", [False, True])
def test_a_server_that_never_answers_is_given_up(shipper: Shipper, server: HecServer, take: bool) -> None:
    server.script.add(fault.hang(take=take), times=2)
    shipper.configure(server, read_timeout="300ms")
    shipper.write(10)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts().keys() == ids(range(10)).keys()
    assert server.store.duplicates() <= shipper.tally("possible_duplicates")


def test_a_server_that_reads_slowly_is_borne_within_the_total(shipper: Shipper, server: HecServer) -> None:
    server.script.add(fault.slow_reading(2000), times=1)
    shipper.configure(server, compression="none", total_timeout="1s")
    shipper.write(300)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts().keys() == ids(range(300)).keys()
    assert server.store.duplicates() <= shipper.tally("possible_duplicates")


@pytest.mark.parametrize("silent", [False, True])
def test_a_server_that_closes_connections_doubles_nothing(shipper: Shipper, silent: bool) -> None:
    """A kept connection that was closed meanwhile is not one that broke while events were on it."""
    with HecServer(keepalive_requests=2, keepalive_silent=silent) as server:
        shipper.configure(server, batch_events=10, in_flight=1)
        shipper.write(100)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(100))


def test_connections_are_kept(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server, batch_events=10)
    shipper.write(500)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.requests >= 50
    assert server.connections <= 10


def test_tls_is_checked_against_the_authority_that_is_given(shipper: Shipper, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with HecServer(tls=authority.server()) as server:
        shipper.configure(server)
        shipper.write(10)
        shipper.start()
        shipper.wait_for(shipper.waits_with("ertificate"), "the refusal of an unknown authority")
        assert len(server.store) == 0
        shipper.stop()
        shipper.configure(server, ca_file=str(authority.ca_file), tls_min="1.3")
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(10))


def test_a_certificate_for_another_name_is_refused(shipper: Shipper, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with HecServer(tls=authority.server("splunk.example.com")) as server:
        shipper.configure(server, ca_file=str(authority.ca_file))
        shipper.write(10)
        shipper.start()
        shipper.wait_for(shipper.waits_with("ertificate"), "the refusal")
        assert len(server.store) == 0
        shipper.stop()


def test_an_old_tls_is_refused(shipper: Shipper, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with HecServer(tls=authority.server(newest=ssl.TLSVersion.TLSv1_2)) as server:
        shipper.configure(server, ca_file=str(authority.ca_file), tls_min="1.3")
        shipper.write(10)
        shipper.start()
        shipper.wait_for(lambda: bool(shipper.output().get("last_error")), "the refusal")
        assert len(server.store) == 0
        shipper.stop()


def test_tls_without_verification_works_and_is_loud(shipper: Shipper, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with HecServer(tls=authority.server("splunk.example.com")) as server:
        shipper.configure(server, tls_verify=False)
        shipper.write(10)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(10))
        assert "tls_verify" in shipper.said()


def test_the_client_shows_its_certificate(shipper: Shipper, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.client()
    key.chmod(0o600)
    with HecServer(tls=authority.server(client_certificates=True)) as server:
        shipper.configure(
            server, ca_file=str(authority.ca_file), client_cert_file=str(certificate), client_key_file=str(key)
        )
        shipper.write(10)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(10))


@pytest.mark.parametrize("tls", [False, True])
def test_the_way_may_lead_through_a_proxy_that_asks_who_it_is(shipper: Shipper, tmp_path: Path, tls: bool) -> None:
    """Without the credential everything is held; with it, it goes on."""
    authority = Authority(tmp_path)
    credential = tmp_path / "proxy-auth"
    credential.touch(0o600)
    credential.write_text("user:wrong\n")
    with HecServer(tls=authority.server() if tls else None) as server, Proxy("user:secret") as proxy:
        trust: dict[str, Any] = {"ca_file": str(authority.ca_file)} if tls else {}
        shipper.configure(server, proxy=proxy.url, proxy_auth_file=str(credential), **trust)
        shipper.write(10)
        shipper.start()
        shipper.wait_for(shipper.waits_with("407"), "the proxy's refusal")
        assert len(server.store) == 0
        shipper.stop()
        credential.write_text("user:secret\n")
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(10))
        assert proxy.passed >= 1
        assert "secret" not in shipper.said()
