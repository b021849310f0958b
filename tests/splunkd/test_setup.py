"""``connlog splunk setup`` makes a Splunk ready, changes nothing twice, and says what it can't do."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from shipper import __version__
from shipper.cli.main import main
from shipper.config import SplunkHecOutput, load_config
from shipper.splunk.addon import APP, addon_version, pack
from tests.splunkd.server import Fault, Splunkd
from tests.splunkd.world import BEARER, Form, World

FORMS = {
    "today": Form(),
    "words": Form(words=True, silent_post=True),
    "older": Form(encoded_once=True, json_errors=True),
    "unprefixed": Form(unprefixed=True),
}


class Run:
    """Runs the command against a double and keeps what it printed."""

    def __init__(self, splunk: Splunkd, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.splunk, self.folder, self._capsys = splunk, folder, capsys
        self.auth = folder / "auth"
        self.auth.write_text(f"{BEARER}\n")
        self.auth.chmod(0o600)
        self.token_file = folder / "hec-token"
        self.out = self.err = ""

    def __call__(self, *more: str | Path, url: str | None = None) -> int:
        known = ["--url", url or self.splunk.url, "--auth-token-file", self.auth, "--index", "coder"]
        code = main([str(one) for one in ["splunk", "setup", *known, "--token-file", self.token_file, *more]])
        self.out, self.err = self._capsys.readouterr()
        assert BEARER not in self.out + self.err
        assert "Traceback" not in self.err
        for token in self.splunk.world.tokens.values():
            assert str(token["token"]) not in self.out + self.err
        return code

    @property
    def steps(self) -> dict[str, str]:
        return {line[9:20].strip(): line[:8].strip() for line in self.out.splitlines()}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def run(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with Splunkd(world) as splunk:
        yield Run(splunk, tmp_path, capsys)


@pytest.mark.parametrize("form", FORMS)
def test_a_fresh_splunk_is_made_ready_and_a_second_run_changes_nothing(form: str, world: World, run: Run) -> None:
    """Index, collector, token, its file and the add-on with its macro; in whichever form this version answers."""
    world.form = FORMS[form]
    assert run("--ack", "--retention", "365d", "--index-max", "500GiB") == 0, run.err
    assert run.steps == {
        "server": "there", "index": "done", "collector": "done", "token": "done", "token file": "done",
        "add-on": "done", "macro": "done",
    }  # fmt: skip
    index, token = world.indexes["coder"], world.tokens["connlog"]
    assert (index["frozenTimePeriodInSecs"], index["maxTotalDataSizeMB"]) == ("31536000", "512000")
    assert (token["index"], token["indexes"], token["sourcetype"]) == ("coder", "coder", "coder:connection_log")
    assert token["useACK"] in ("1", "true")
    assert world.collector is not None
    assert world.collector["disabled"] in ("0", "false")
    assert run.token_file.read_text() == f"{token['token']}\n"
    assert run.token_file.stat().st_mode & 0o777 == 0o600
    assert world.apps[APP]["version"] == addon_version(__version__)
    assert world.macros[APP, "connlog_index"]["definition"] == 'index="coder"'
    before = len(run.splunk.changes)
    assert run("--ack", "--retention", "365d", "--index-max", "500GiB") == 0
    assert set(run.steps.values()) == {"there"}
    assert len(run.splunk.changes) == before


def test_it_ends_with_the_output_for_the_configuration(world: World, run: Run) -> None:
    """As it can be pasted, with where the collector listens; the configuration then loads."""
    assert run("--no-addon") == 0
    _, _, text = run.err.partition("if it is not there yet:\n")
    config = run.folder / "connlog.toml"
    config.write_text(text)
    (output,) = load_config(config).outputs
    assert isinstance(output, SplunkHecOutput)
    assert (output.endpoints, output.token_file, output.index) == (
        ("https://127.0.0.1:8088",), run.token_file, "coder",
    )  # fmt: skip
    assert run("-c", config, "--no-addon") == 0
    assert "if it is not there" not in run.err


def test_a_dry_run_says_each_step_and_changes_nothing(world: World, run: Run) -> None:
    assert run("--dry-run", "--ack") == 0
    assert run.steps == {
        "server": "there", "index": "would", "collector": "would", "token": "would", "token file": "would",
        "add-on": "would", "macro": "would",
    }  # fmt: skip
    assert "create connlog" in run.out
    assert "nothing was changed" in run.err
    assert run.splunk.changes == []
    assert not run.token_file.exists()
    assert world.tokens == {}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_is_changed_only_where_it_was_asked_for(form: str, world: World, run: Run) -> None:
    """A token keeps its secret and what it may write to besides; the index is enabled; names of settings are told."""
    world.form = FORMS[form]
    world.indexes |= {"coder": {"datatype": "event", "disabled": world.boolean("1")}, "other": {"datatype": "event"}}
    held = world.make_token(
        "connlog", index="main", indexes="other", disabled=world.boolean("1"), token="hush-this-one"
    )
    world.make_token("another", token="hush-another-one")
    assert run("--no-addon") == 0, run.err
    assert (held["token"], held["index"], held["indexes"]) == ("hush-this-one", "coder", "coder,other")
    assert held["disabled"] in ("0", "false")
    assert held["useACK"] == "0"
    assert world.indexes["coder"]["disabled"] in ("0", "false")
    assert "index from main to coder" in run.out
    assert run.token_file.read_text() == "hush-this-one\n"
    assert run("--no-addon", "--allow", "coder", "--ack") == 0, run.err
    assert (held["indexes"], held["useACK"]) == ("coder", world.boolean("1"))
    assert run("--no-addon", "--no-ack") == 0
    assert held["useACK"] == world.boolean("0")
    assert world.tokens["another"]["index"] == "default"


def test_a_token_that_may_write_anywhere_is_narrowed_only_on_demand(world: World, run: Run) -> None:
    held = world.make_token("connlog", index="coder", token="hush-this-one")
    assert run("--no-addon") == 0
    assert held["indexes"] == ""
    assert run("--no-addon", "--allow", "coder") == 0
    assert held["indexes"] == "coder"


def test_another_token_in_the_file_is_left_until_overwrite(world: World, run: Run) -> None:
    run.token_file.write_text("precious\n")
    assert run("--no-addon") == 1
    assert run.steps["token file"] == "by hand"
    assert run.token_file.read_text() == "precious\n"
    assert run("--no-addon", "--overwrite") == 0
    assert run.token_file.read_text() == f"{world.tokens['connlog']['token']}\n"


def test_a_wide_mode_of_the_token_file_is_narrowed(world: World, run: Run) -> None:
    world.make_token("connlog", index="coder", token="hush-this-one")
    run.token_file.write_text("hush-this-one\n")
    run.token_file.chmod(0o644)
    assert run("--no-addon") == 0
    assert run.token_file.stat().st_mode & 0o777 == 0o600


def test_a_token_that_splunk_does_not_show_is_to_be_copied_by_hand(world: World, run: Run) -> None:
    world.masked = True
    assert run("--no-addon") == 1
    assert "does not show the token" in run.out
    assert not run.token_file.exists()


def test_the_folder_of_the_token_file_must_be_there(run: Run) -> None:
    run.token_file = run.folder / "nowhere" / "hec-token"
    assert run("--no-addon") == 4
    assert "nowhere" in run.err


def test_the_add_on_is_updated_and_a_newer_one_is_left(world: World, run: Run) -> None:
    world.apps[APP] = {"version": "0.0.9", "disabled": "0"}
    world.macros[APP, "connlog_index"] = {"definition": "index=mine"}
    assert run() == 0
    assert "update TA_coder_connlog from 0.0.9" in run.out
    assert world.apps[APP]["version"] == addon_version()
    assert "was set to index=mine by somebody" in run.out
    world.apps[APP]["version"] = "99.0.0"
    assert run() == 0
    assert world.apps[APP]["version"] == "99.0.0"


def test_the_macro_of_an_earlier_run_is_added_to(world: World, run: Run) -> None:
    """Searches find what was sent to the index of before, and to those that were added; a third run changes nothing."""
    assert run("--index", "one") == 0
    assert run("--index", "two") == 0
    assert world.macros[APP, "connlog_index"]["definition"] == '(index="one" OR index="two")'
    assert run("--index", "two") == 0
    assert run.steps["macro"] == "there"


def test_the_add_on_is_taken_from_a_place_that_splunk_can_reach(world: World, run: Run) -> None:
    package = run.folder / "x.tgz"
    package.write_bytes(pack())
    world.packages["https://files.example/x.tgz"] = package
    assert run("--addon", "https://files.example/x.tgz") == 0
    assert world.apps[APP]["version"] == addon_version()
    del world.apps[APP]
    assert run("--addon", "/no/such.tgz") == 4
    assert "does not exist" in run.err


def test_on_another_machine_the_add_on_is_left_to_do_by_hand(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A management port takes no upload: it says how to bring the package there, and exits 1."""
    monkeypatch.setattr("shipper.splunk.transport.Server.local", property(lambda _self: False))
    assert run() == 1
    assert run.steps["add-on"] == run.steps["macro"] == "by hand"
    assert "connlog splunk app" in run.out
    assert APP not in world.apps


def test_a_restart_that_splunk_asks_for_is_told(world: World, run: Run) -> None:
    world.messages = ["restart_required"]
    assert run("--no-addon") == 0
    assert run.steps["restart"] == "note"


def test_an_index_of_metrics_is_refused(world: World, run: Run) -> None:
    world.indexes["coder"] = {"datatype": "metric"}
    assert run() == 4
    assert "holds metrics" in run.err
    assert run.splunk.changes == []


def test_a_name_that_was_taken_meanwhile_is_no_failure(world: World, run: Run) -> None:
    """Two runs at once: the index appears between looking and making."""
    world.indexes["coder"] = {"datatype": "event"}
    run.splunk.faults = [Fault("/data/indexes/coder", "GET", 404, b"<response/>")]
    assert run("--no-addon") == 0
    assert "made by somebody else" in run.out


CLOUD_COLLECTOR = None


def test_splunk_cloud_is_told_what_can_only_be_done_there(world: World, run: Run) -> None:
    world.cloud, world.collector = True, CLOUD_COLLECTOR
    assert run() == 4
    assert "Splunk Cloud" in run.out
    assert "ACS" in run.err
    world.indexes["coder"] = {"datatype": "event"}
    assert run("--no-addon") == 0
    assert "not shown here" in run.out


@pytest.mark.parametrize(("capability", "told"), [("indexes_edit", "create the index"), ("edit_token_http", "HTTP Event"), ("edit_local_apps", "install the add-on"), ("admin_all_objects", "set the macro")])  # fmt: skip
def test_a_missing_capability_is_named_with_the_step(capability: str, told: str, world: World, run: Run) -> None:
    """Steps before it are done; with the capability the next run does the rest."""
    world.capabilities.discard(capability)
    assert run() == 4
    assert told in run.err
    assert f"needs {capability}" in run.err
    world.capabilities.add(capability)
    assert run() == 0


def test_a_wrong_token_is_told_without_showing_it(run: Run) -> None:
    run.auth.write_text("wrong-secret\n")
    assert run() == 4
    assert "does not take the token" in run.err
    assert "wrong-secret" not in run.err + run.out


def test_the_token_comes_from_a_credential_or_the_environment_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["splunk", "setup", "--url", run.splunk.url, "--index", "coder", "--dry-run"]
    assert main(arguments) == 4
    assert "splunk-token" in capsys.readouterr().err
    monkeypatch.setenv("CONNLOG_SPLUNK_TOKEN", BEARER)
    assert main(arguments) == 0
    monkeypatch.setenv("CONNLOG_SPLUNK_TOKEN", "wrong")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "splunk-token").write_text(BEARER)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert main(arguments) == 0


ODD: dict[str, tuple[Callable[[], Fault], str]] = {
    "web page": (lambda: Fault("server/info", body=b"<html>login</html>", content_type="text/html"), "management port"),
    "redirect": (lambda: Fault("server/info", status=303, headers={"Location": "/en-US/"}), "management port"),
    "garbage": (lambda: Fault("server/info", body=b"\x00\xff not xml"), "answers not as"),
    "empty": (lambda: Fault("server/info", body=b""), "answers not as"),
    "another feed": (lambda: Fault("server/info", body=b"<a><b>1</b></a>"), "answers not as"),
    "json": (lambda: Fault("server/info", body=b'{"a":1}', content_type="application/json"), "answers not as"),
    "entities": (lambda: Fault("server/info", body=b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "declares entities"),
    "error 500": (lambda: Fault("server/info", status=500, body=b"<response><messages><msg type='FATAL'>disk &lt;full&gt;\x1b[2J</msg></messages></response>"), "disk <full>"),
    "error 500 in html": (lambda: Fault("server/info", status=500, body=b"<html>", content_type="text/html"), "HTTP 500"),
    "busy": (lambda: Fault("server/info", status=503, body=b""), "try later"),
    "too much": (lambda: Fault("server/info", status=429, body=b"{}"), "try later"),
    "cut": (lambda: Fault("server/info", cut=True), "broke off"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_one_sentence_and_no_traceback(name: str, run: Run) -> None:
    fault, told = ODD[name]
    run.splunk.faults = [fault()]
    assert run() == 4
    assert told in run.err
    assert "\x1b" not in run.err
    assert len(run.err.splitlines()) == 1 + run.err.count("warning:")
    assert run.splunk.changes == []


@pytest.mark.parametrize("place", ["data/indexes", "data/inputs/http", "apps/local", "configs/conf-macros", "messages"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_failure_at_any_step_is_mended_by_the_next_run(place: str, method: str, world: World, run: Run) -> None:
    """Refused, or done with its answer lost: the next run ends with everything as it should be, made once."""
    for before in (False, True):
        run.splunk.faults = [Fault(place, method, 500, b"<response/>", before=before)]
        assert run() == (0 if (place, method) == ("messages", "POST") else 4 if run.splunk.faults == [] else 0)
    assert run() == 0
    assert set(world.tokens) == {"connlog"}
    assert run.token_file.read_text() == f"{world.tokens['connlog']['token']}\n"
    assert run() == 0
    assert set(run.steps.values()) == {"there"}


def test_a_server_that_drips_is_left_at_the_timeout(run: Run) -> None:
    run.splunk.faults = [Fault("server/info", drip_seconds=0.05)]
    assert run("--timeout", "300ms") == 4
    assert "no whole answer within 0.3 s" in run.err


def test_nobody_listening_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(url="http://127.0.0.1:1") == 4
    assert "refused" in run.err.lower()


def test_tls_is_checked_unless_told_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown authority stops it, --ca-file makes it known, and --insecure warns."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with Splunkd(World(), context) as splunk:
        run = Run(splunk, tmp_path, capsys)
        assert run("--no-addon") == 4
        assert "--ca-file" in run.err
        assert splunk.asked == []
        assert run("--no-addon", "--ca-file", ca_file) == 0
        assert "warning" not in run.err
        assert run("--no-addon", "--insecure") == 0
        assert "NOT checked" in run.err
        assert run("--no-addon", url=splunk.url.replace("https", "http")) == 4
        assert run("--no-addon", "--ca-file", tmp_path / "none.pem") == 2
        assert run("--no-addon", "--ca-file", run.auth) == 2


WRONG = {
    "index": (["--index", "Coder"], "no name of an index"),
    "kvstore": (["--index", "my_kvstore"], "no name of an index"),
    "allow": (["--allow", "other"], "--allow coder"),
    "name": (["--token-name", "a/b"], "--token-name"),
    "both": (["--addon", "x", "--no-addon"], "exclude each other"),
    "retention": (["--retention", "1 year"], "--retention"),
    "size": (["--index-max", "0B"], "too little"),
    "timeout": (["--timeout", "2h"], "--timeout"),
    "url": (["--url", "ftp://x"], "--url"),
    "secret in url": (["--url", "https://admin:hunter2@x"], "--url"),
    "path": (["--url", "https://x/en-US"], "no path"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_told_before_anything_is_asked(name: str, run: Run) -> None:
    arguments, told = WRONG[name]
    assert run(*arguments) == 2
    assert told in run.err
    assert "hunter2" not in run.err
    assert run.splunk.asked == []


def test_the_token_is_sent_as_a_bearer_and_a_servers_cookie_never_takes_its_place(run: Run) -> None:
    assert run("--dry-run") == 0
    assert {one.headers.get("Authorization") for one in run.splunk.asked} == {f"Bearer {BEARER}"}
    assert not any("Cookie" in one.headers for one in run.splunk.asked)
    assert all(re.search(r"/services(NS)?/", one.path) for one in run.splunk.asked)
