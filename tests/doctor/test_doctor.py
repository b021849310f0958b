"""``connlog doctor`` answers, whatever hangs or is wrong, and its archive has no secret and nothing out of a log."""

from __future__ import annotations

import json
import os
import socket
import stat
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.cli.main import main
from shipper.doctor import collector, tls
from shipper.doctor.bundle import write_bundle
from shipper.doctor.case import open_case
from shipper.doctor.examination import CHECKS, examine
from shipper.doctor.finding import Finding
from shipper.doctor.redaction import BLANK, of_metrics, of_own_log, of_settings, without_secrets
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.doctor.conftest import Systemd, case_of, told, write
from tests.hec.certificate import Authority
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token
from tests.service.conftest import Service

SECRET = "Q7vXz91-secretly-4411-word"


def hec(folder: Path, url: str, more: str = "") -> Path:
    (folder / "hec-token").write_text(TOKEN + "\n")
    (folder / "hec-token").chmod(0o600)
    return write(
        folder,
        f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{url}"]\ntoken_file = "hec-token"\n{more}\n[[output]]\ntype = "index"\n',
    )


def asked(path: Path, *, send: bool = False) -> list[Finding]:
    case = case_of(path)
    assert case.config is not None
    return list(collector.of_outputs(case.config, None, send=send))


# ---- the command ---------------------------------------------------------------------------


def test_json_has_every_finding_the_gravest_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--output", "json", "-c", str(write(tmp_path, ""))]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == 1
    assert said["worst"] == "problem"
    assert said["findings"][0]["severity"] == "problem"
    assert {"check", "severity", "where", "what", "advice"} == set(said["findings"][0])
    assert all(one["advice"] for one in said["findings"] if one["severity"] in ("problem", "warning"))


def test_an_invalid_configuration_is_told_with_every_problem_and_exits_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "[log]\nlevle = 'info'\nformt = 'json'\n")
    assert main(["doctor", "-c", str(path)]) == 3
    out = capsys.readouterr().out
    assert "log.levle" in out
    assert "log.formt" in out


def test_only_problems_exit_1_and_with_strict_warnings_too(
    service: Service, capsys: pytest.CaptureFixture[str], systemd: Systemd
) -> None:
    systemd(LoadState="not-found")
    service.write(3)
    service.log.chmod(0o644)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 3, "the events")
    code = main(["doctor", "-c", str(service.config), "--quiet"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert "\nok " not in out
    service.config.chmod(0o644)
    (service.state / "index.db").chmod(0o644)
    assert main(["doctor", "-c", str(service.config)]) == 0
    assert main(["doctor", "-c", str(service.config), "--strict"]) == 1
    assert service.end() == 0
    capsys.readouterr()
    assert main(["doctor", "-c", str(service.config)]) == 1
    assert "no daemon runs on this state folder" in capsys.readouterr().out


def test_nothing_that_a_terminal_would_obey_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "evil\x1b[2J.log")
    main(["doctor", "-c", str(write(tmp_path, f'[[input]]\ntype = "file"\npaths = ["{tmp_path}/logs/*"]\n'))])
    out = capsys.readouterr().out
    assert "evil\\x1b[2J.log" in out
    assert "\x1b" not in out


# ---- it ends -------------------------------------------------------------------------------


def test_a_check_that_hangs_is_a_finding_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    case = case_of(write(tmp_path, '[[input]]\ntype = "journald"\nunits = ["coder.service"]\n'))
    for name in ("systemctl", "journalctl"):
        (folder / name).write_text("#!/bin/sh\nexec sleep 600\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    found = examine(case, ("journald", "disk", "versions"), seconds=0.5)
    assert "did not end in 0.5 seconds" in told(found, "problem")
    assert "are free" in told(found, "ok")


def test_a_server_that_never_answers_is_told_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "WHOLE_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        found = asked(hec(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert "no whole answer within 0.5 s" in told(found, "problem")


def test_a_pipe_in_the_place_of_a_file_holds_nothing_up(tmp_path: Path) -> None:
    path = hec(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "hec-token").unlink()
    os.mkfifo(tmp_path / "hec-token", 0o600)
    began = time.monotonic()
    found = examine(open_case(path), ("secrets", "splunk", "disk"), seconds=1.0)
    assert time.monotonic() - began < 10.0
    assert "is no regular file" in told(found, "problem")


# ---- Splunk and Coder ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "ack", "severity", "said"),
    [
        (True, "auto", "ok", "offers acknowledgement: an event counts as delivered when it is indexed"),
        (True, "off", "note", 'ack = "off" does not ask for it'),
        (False, "auto", "note", "offers no acknowledgement"),
        (False, "required", "problem", 'ack = "required" holds everything until it does'),
    ],
)
def test_acknowledgement_is_compared_with_what_is_wanted(
    tmp_path: Path, offered: bool, ack: str, severity: str, said: str
) -> None:
    with HecServer(Token(use_ack=offered)) as server:
        found = asked(hec(tmp_path, server.url, f'ack = "{ack}"'))
        assert said in told(found, severity)
        assert "takes the token" in told(found, "ok")
        assert not len(server.store)


def test_the_index_is_tried_by_an_event_only_where_that_is_asked_for(tmp_path: Path) -> None:
    with HecServer(Token(indexes=frozenset({"main"})), indexes=["main", "security"]) as server:
        path = hec(tmp_path, server.url, 'index = "security"')
        assert "none was sent" in told(asked(path), "note")
        assert "HTTP 400 code 7" in told(asked(path, send=True), "problem")
        assert not len(server.store)
        assert "took an event for main" in told(asked(hec(tmp_path, server.url, 'index = "main"'), send=True), "ok")
        assert len(server.store) == 1
        routed = hec(
            tmp_path, server.url, 'index = "main"\nroute = [{ field = "type", values = ["ssh"], index = "security" }]'
        )
        assert "took an event for main" in told(asked(routed, send=True), "ok")
        assert "an event for security: HTTP 400 code 7" in told(asked(routed, send=True), "problem")


def test_a_certificate_is_told_with_its_end_or_why_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with HecServer(Token(), tls=authority.server()) as server:
        port = server.url.rpartition(":")[2]
        trusted = told(asked(hec(tmp_path, f"https://localhost:{port}", f'ca_file = "{authority.ca_file}"')), "ok")
        assert "the certificate fits localhost and is trusted, until 30" in trusted
        assert "takes the token" in trusted
        unknown = told(asked(hec(tmp_path, f"https://localhost:{port}")), "problem")
        assert "the certificate is refused" in unknown
        assert "ca_file" in unknown
        unchecked = asked(hec(tmp_path, f"https://localhost:{port}", "tls_verify = false"))
        assert "certificates are not checked" in told(unchecked, "problem")
        assert "takes the token" in told(unchecked, "ok")
    with HecServer(Token(), tls=authority.server("splunk.example.com")) as server:
        port = server.url.rpartition(":")[2]
        other = told(asked(hec(tmp_path, f"https://localhost:{port}", f'ca_file = "{authority.ca_file}"')), "problem")
        assert "Hostname mismatch" in other
        assert "write the name that is in it" in other
    monkeypatch.setattr(tls, "CONNECT_SECONDS", 0.5)
    with HecServer(Token()) as server:
        plain = told(asked(hec(tmp_path, server.url.replace("http:", "https:"))), "problem")
        assert "plain http" in plain


def test_a_role_of_coder_that_does_not_suffice_is_told(tmp_path: Path) -> None:
    scene = Scene()
    with CoderServer(scene.world, limit=-1) as server:

        def said(user: object, severity: str, more: str = "") -> str:
            (tmp_path / "coder-token").write_text(scene.world.token_of(user))  # type: ignore[arg-type]
            (tmp_path / "coder-token").chmod(0o600)
            path = write(tmp_path, f'{more}[coder]\nurl = "{server.url}"\ntoken_file = "coder-token"\n')
            return told(examine(open_case(path), ("coder",)), severity)

        assert "shows the connection log" in said(scene.auditor, "ok")
        api = '[[input]]\ntype = "coder_api"\n'
        assert not said(scene.auditor, "problem", api)
        assert "may not list users" in said(scene.bob, "warning")
        assert "gives an empty list" in said(scene.bob, "problem", api)


# ---- the archive ---------------------------------------------------------------------------


def parts(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert all(member.isreg() and member.mode == 0o600 for member in members)
        return {m.name.rpartition("/")[2]: archive.extractfile(m).read().decode() for m in members}  # type: ignore[union-attr]


def test_the_archive_has_facts_and_no_line_of_a_log_no_event_and_no_secret(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], systemd: Systemd
) -> None:
    systemd("2026-09-01T10:00:00 host connlog[1]: new in the logs: key Wort, first met in x; its events are kept\n")
    (tmp_path / "hec-token").write_text(SECRET + "\n")
    (tmp_path / "hec-token").chmod(0o600)
    service.configure(listen="127.0.0.1:0")
    plain = service.config.read_text()
    service.config.write_text(
        f"# token of old: {TOKEN}\n# password = 'hunter22'\n{plain}"
        '[[output]]\ntype = "index"\n'
        '[[output]]\ntype = "splunk_hec"\nendpoints = ["http://127.0.0.1:9"]\ntoken_file = "hec-token"\n'
    )
    service.write(2)
    with service.log.open("a") as file:
        file.write('{"ts":"2026-09-01T10:00:00Z","level":"INFO","msg":"something","fields":{"note":"MARKED-LINE"}}\n')
        file.write(
            '{"ts":"2026-09-01T10:00:00Z","level":"INFO","msg":"connection_log","logger_names":["coderd"],"fields":'
            '{"ID":"99999999-0000-4000-8000-000000000009","Time":"2026-09-01T10:00:00Z","ConnectionStatus":"connected",'
            '"Type":"ssh","MarkedKey":"MARKED-VALUE","WorkspaceName":"marked-workspace"}}\n'
        )
        file.write(
            '{"ts":"2026-09-01T10:00:00Z","msg":"connection_log","logger_names":["coderd"],"fields":{"ID":"MARKED"}\n'
        )
    service.start()
    service.wait_for(lambda: "MarkedKey" in str(service.status().get("drift")), "the new key in the status")
    service.wait_for(lambda: bool(service.status().get("metrics")), "the metrics")
    archive = tmp_path / "doctor.tar.gz"
    main(["doctor", "-c", str(service.config), "--bundle", str(archive)])
    service.end()
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    found = parts(archive)
    assert set(found) == {
        *("README.txt", "findings.txt", "findings.json", "configuration.toml", "status.json", "metrics.txt"),
        *("unit.txt", "log.txt", "folders.txt", "versions.txt"),
    }
    for name, text in found.items():
        for word in (SECRET, TOKEN, "hunter22", "MARKED", "MarkedKey", "marked-workspace", "Wort"):
            assert word not in text, (name, word)
    assert 'token_file = "hec-token"' in found["configuration.toml"]
    assert "connlog_entries_total" in found["metrics.txt"]
    assert json.loads(found["status.json"])["sources"]
    assert "journal.db" in found["folders.txt"]
    assert "msgspec" in found["versions.txt"]
    capsys.readouterr()
    assert main(["doctor", "-c", str(service.config), "--bundle", str(archive)]) == 4
    assert "is there already" in capsys.readouterr().err


def test_an_archive_of_an_invalid_configuration_has_no_secret_that_was_written_into_it(tmp_path: Path) -> None:
    path = write(tmp_path, f'[[output]]\ntype = "splunk_hec"\ntoken = "{SECRET}"\nauth_password = "x{SECRET}"\n')
    archive = tmp_path / "doctor.tar.gz"
    assert main(["doctor", "-c", str(path), "--bundle", str(archive)]) == 3
    found = parts(archive)
    assert f"token = {BLANK}" in found["configuration.toml"]
    assert not any(SECRET in text for text in found.values())


@given(
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!$%&*+=", min_size=6, max_size=60),
    st.text(max_size=200),
    st.text(max_size=200),
)
def test_a_known_secret_never_stays(secret: str, before: str, after: str) -> None:
    assert secret not in without_secrets(before + secret + after, [secret]).replace(BLANK, "")


@given(st.uuids().map(str), st.sampled_from(["{}", "Splunk {}", "url = 'https://x/{}'", "# old: {}", 'a = "{}"']))
def test_what_looks_like_a_token_never_stays(token: str, form: str) -> None:
    assert token not in without_secrets(form.format(token))


@pytest.mark.parametrize(
    "text",
    [
        f'token = "{SECRET}"',
        f"# hec_token: {SECRET}",
        f'auth_password = """\n{SECRET}\nand more\n"""',
        f'tokens = [\n  "{SECRET}",\n]',
        f'headers = {{ Authorization = "Splunk {SECRET}" }}',
        f"Environment=CODER_SESSION_TOKEN={SECRET} A=b",
        f'Environment=A=b \\\n  "X={SECRET}"',
        f"SetCredential=hec-token:{SECRET}",
        f"SetCredential=hec-token: \\\n   {SECRET}",
    ],
)
def test_what_a_key_that_smells_of_a_secret_has_is_blanked(text: str) -> None:
    assert SECRET not in of_settings(f"[x]\n{text}\nname = 1\n")
    assert of_settings(f"[x]\n{text}\nname = 1\n").endswith("name = 1\n")


@pytest.mark.parametrize(
    "text", ["token" * 200_000, "a" * 1_000_000, "=" * 1_000_000, " token " * 140_000, '"token" : [' * 90_000]
)
def test_odd_text_takes_no_longer_than_its_length(text: str) -> None:
    """With a pattern that tries every place against every other this would run for hours, and the suite's limit ends it."""
    assert of_settings(text) is not None
    assert without_secrets(text) is not None


def test_where_a_secret_is_stays() -> None:
    for text in ('token_file = "hec-token"', "LoadCredential=hec-token:connlog.hec-token", 'paths = ["/a/*.log"]'):
        assert of_settings(text) == text


def test_an_address_in_the_status_that_is_no_daemons_is_not_followed(service: Service, tmp_path: Path) -> None:
    """Root may ask the doctor, and the status belongs to the service's user."""
    (tmp_path / "shadow").write_text("root:MARKED")
    service.start()
    service.wait_for(lambda: bool(service.status()), "the status")
    case = open_case(service.config)
    assert case.status is not None
    forged = msgspec.structs.replace(
        case, status=msgspec.structs.replace(case.status, metrics=f"file://{tmp_path}/shadow"), alive=True
    )
    write_bundle(tmp_path / "doctor.tar.gz", forged, [])
    assert parts(tmp_path / "doctor.tar.gz")["metrics.txt"] == "no address of http\n"
    assert service.end() == 0


def test_names_that_come_from_logs_leave_the_own_log_and_the_metrics() -> None:
    line = "x connlog[1]: new in the logs: key Evil, first met in y, first met in /var/log/a; its events are kept"
    assert "Evil" not in of_own_log(line)
    assert "quoted" not in of_own_log("the input files failed | a.py:1 in f | ValueError: quoted text")
    assert "Evil" not in of_metrics('connlog_drift_total{kind="key",name="Evil\\"x"} 1.0\n')


def test_every_check_is_there() -> None:
    from importlib import import_module

    assert all(callable(import_module(module).examine) for module in CHECKS.values())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A daemon of this test's own."""
    one = Service(tmp_path)
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait()
