"""A reload takes over what changed and leaves the rest alone, or is refused and changes nothing; it never hangs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.cli.main import main
from shipper.config import CoderApiInput, FileInput, JournaldInput, SplunkHecOutput, State, StdinInput
from shipper.config.option import slots
from shipper.config.settings import INPUT_TYPES, OUTPUT_TYPES, Coder, IndexOutput, Log, Metrics
from tests.hec.certificate import Authority

if TYPE_CHECKING:
    from tests.service.conftest import Service


def reload(service: Service) -> None:
    """Ask for a reload and wait until it is told of."""
    assert service.process is not None
    before = service.said().count("reload")
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: service.said().count("reload") > before, "the word of the reload")


def started(service: Service) -> None:
    service.start()
    service.wait_for(lambda: "reads into" in service.said(), "the start")


def test_a_new_input_is_read_and_nothing_is_read_twice(service: Service, tmp_path: Path) -> None:
    service.write(5)
    started(service)
    service.wait_for(lambda: len(service.indexed()) == 5, "the first events")
    other = tmp_path / "other"
    other.mkdir()
    service.config.write_text(
        service.config.read_text().replace(f'"{service.logs}/*.log"', f'"{service.logs}/*.log", "{other}/*.log"')
    )
    service.log, first = other / "coderd.log", service.log
    service.write(5)
    reload(service)
    service.wait_for(lambda: len(service.indexed()) == 10, "the events of the new input")
    service.log = first
    service.write(5)
    service.wait_for(lambda: service.indexed() == list(range(15)), "the events of the old one")
    assert service.end() == 0
    assert service.said().count("reloaded: input files") == 1


def test_a_reload_without_a_change_changes_nothing(service: Service) -> None:
    service.write(5)
    started(service)
    reload(service)
    assert "reloaded: nothing has changed" in service.said()
    service.write(5)
    service.wait_for(lambda: service.indexed() == list(range(10)), "the events")
    assert service.end() == 0


def test_the_index_is_swapped_under_way(service: Service) -> None:
    service.write(5)
    started(service)
    service.config.write_text(service.config.read_text() + '[[output]]\ntype = "index"\nretention = "30d"\n')
    reload(service)
    service.write(5)
    service.wait_for(lambda: service.indexed() == list(range(10)), "the events")
    assert "reloaded: output index" in service.said()
    assert service.end() == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('[log]\nlevle = "info"\n', "log.levle"),
        ("[[input", "is not valid TOML"),
        ('[[input]]\ntype = "file"\npaths = []\n', "input[2].paths"),
    ],
)
def test_an_invalid_configuration_is_refused_and_all_goes_on(service: Service, wrong: str, said: str) -> None:
    service.write(5)
    started(service)
    good = service.config.read_text()
    service.config.write_text(good + wrong)
    reload(service)
    assert "the reload is refused, all goes on as before" in service.said()
    assert said in service.said()
    service.write(5)
    service.wait_for(lambda: service.indexed() == list(range(10)), "the events")
    service.wait_for(lambda: said in str(service.status()["refused"]), "the refusal in the status")
    service.config.write_text(good)
    reload(service)
    service.wait_for(lambda: service.status()["refused"] is None, "a status without it")
    assert service.end() == 0


def test_another_state_folder_needs_a_restart(service: Service, tmp_path: Path) -> None:
    started(service)
    service.config.write_text(service.config.read_text().replace(str(service.state), str(tmp_path / "elsewhere")))
    reload(service)
    assert "state.dir has changed, which a reload can't do; restart" in service.said()
    assert not (tmp_path / "elsewhere").exists()
    assert service.end() == 0


def test_metrics_move_to_another_address_or_stay(service: Service) -> None:
    service.configure(listen="127.0.0.1:0")
    started(service)
    service.wait_for(lambda: bool(service.status().get("metrics")), "the metrics")
    first = str(service.status()["metrics"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service.configure(listen=f"127.0.0.1:{port}")
        reload(service)
        assert f"can't listen on 127.0.0.1:{port}" in service.said()
        assert urllib.request.urlopen(first, timeout=60).status == 200
    reload(service)
    service.wait_for(lambda: str(service.status()["metrics"]) == f"http://127.0.0.1:{port}/metrics", "the new address")
    assert urllib.request.urlopen(str(service.status()["metrics"]), timeout=60).status == 200
    assert service.end() == 0


def test_the_log_changes_its_level_and_its_form(service: Service) -> None:
    started(service)
    service.config.write_text(service.config.read_text() + '[log]\nformat = "json"\n')
    reload(service)
    service.wait_for(lambda: '"message": "reloaded: log"' in service.said(), "a line of JSON")
    assert service.end() == 0


def test_many_reloads_at_once_end(service: Service) -> None:
    service.write(5)
    started(service)
    assert service.process is not None
    text = service.config.read_text()
    for number in range(50):
        poll = f'poll = "{200 + number}ms"'
        service.config.write_text(text.replace("paths =", f"{poll}\npaths ="))
        os.kill(service.process.pid, signal.SIGHUP)
        service.write(1)
    service.wait_for(lambda: service.indexed() == list(range(55)), "the events")
    assert service.end() == 0


def test_whoever_asks_for_a_reload_hears_how_it_ended(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["service", "reload", "-c", str(service.config)]
    assert main(ask) == 4
    assert "no daemon runs on" in capsys.readouterr().err
    started(service)
    assert main(ask) == 0
    assert capsys.readouterr().out == "reloaded: nothing has changed\n"
    good = service.config.read_text()
    service.config.write_text(good.replace("listen =", "lisen ="))
    os.environ["STATE_DIRECTORY"] = str(service.state)
    try:
        assert main(ask) == 3
    finally:
        del os.environ["STATE_DIRECTORY"]
    assert "metrics.lisen" in capsys.readouterr().err
    service.config.write_text(good)
    assert main(ask) == 0
    assert service.end() == 0


def test_credentials_of_a_proxy_that_were_replaced_are_read_by_a_reload(service: Service, tmp_path: Path) -> None:
    (tmp_path / "hec-token").write_text("token\n")
    (tmp_path / "proxy").write_text("user:former\n")
    service.config.write_text(
        service.config.read_text() + '[[output]]\ntype = "splunk_hec"\nendpoints = ["http://127.0.0.1:9"]\n'
        'token_file = "hec-token"\nproxy = "http://127.0.0.1:10"\nproxy_auth_file = "proxy"\n'
    )
    started(service)
    reload(service)
    assert "reloaded: nothing has changed" in service.said()
    (tmp_path / "proxy").write_text("user:newer one\n".replace(" ", "-"))
    reload(service)
    assert "reloaded: output splunk_hec" in service.said()
    assert service.end() == 0


# Every option of the configuration, and another value for it.
CHANGES: dict[type, dict[str, str]] = {
    State: {
        "dir": '"elsewhere"',
        "journal_max": '"17MiB"',
        "quarantine_max": '"1MiB"',
        "delivered_max": '"2MiB"',
        "delivered_retention": '"2h"',
    },
    FileInput: {
        "paths": '["other/*.log"]',
        "exclude": '["*.old"]',
        "format": '"json"',
        "wrapper": '"none"',
        "tz": '"Europe/Berlin"',
        "line_max": '"8KiB"',
        "poll": '"700ms"',
        "read_from": '"end"',
    },
    JournaldInput: {
        "units": '["other.service"]',
        "identifiers": '["coder"]',
        "containers": '["coder"]',
        "namespace": '"coder"',
        "directory": '"/var/log/journal"',
        "read_from": '"end"',
        "on_lost_cursor": '"newest"',
        "format": '"json"',
        "tz": '"Europe/Berlin"',
        "line_max": '"8KiB"',
    },
    StdinInput: {"format": '"json"', "wrapper": '"none"', "tz": '"Europe/Berlin"', "line_max": '"8KiB"'},
    CoderApiInput: {"poll": '"11m"', "settle": '"22m"', "look_back": '"33h"'},
    IndexOutput: {"retention": '"31d"', "size_max": '"9GiB"', "ongoing_max": '"12d"'},
    SplunkHecOutput: {
        "name": '"other"',
        "endpoints": '["http://127.0.0.1:10"]',
        "token_file": '"other-token"',
        "index": '"security"',
        "sourcetype": '"other:type"',
        "route": '[{ field = "type", values = ["ssh"], index = "ssh" }]',
        "filter": '"type:ssh"',
        "gaps": "false",
        "ack": '"off"',
        "ack_poll": '"3s"',
        "ack_timeout": '"4m"',
        "ack_pending_max": "17",
        "batch_max": '"64KiB"',
        "batch_events": "17",
        "batch_age": '"2s"',
        "compression": '"none"',
        "in_flight": "2",
        "connect_timeout": '"3s"',
        "read_timeout": '"17s"',
        "total_timeout": '"18s"',
        "backoff_max": '"7s"',
        "ca_file": "CA",
        "client_cert_file": "CERT",
        "client_key_file": "KEY",
        "tls_min": '"1.3"',
        "names_wait": '"1s"',
        "attribution": "true",
        "tls_verify": "false",
        "proxy": '"http://127.0.0.1:11"',
        "proxy_auth_file": '"other-token"',
    },
    Metrics: {"listen": '"127.0.0.1:0"'},
    Coder: {
        "url": '"http://127.0.0.1:12"',
        "token_file": '"other-token"',
        "ca_file": "CA",
        "timeout": '"7s"',
        "refresh": '"17m"',
        "refresh_all": '"23h"',
    },
    Log: {"level": '"debug"', "format": '"json"'},
}
FIXED: dict[type, dict[str, str]] = {
    State: {
        "dir": "where state.dir has changed, which a reload can't do",
    },
    StdinInput: dict.fromkeys(CHANGES[StdinInput], "the input stdin can't be opened a second time"),
}
TABLES: dict[type, tuple[str, dict[str, str], str]] = {
    State: ("[state]", {}, "state"),
    FileInput: ("[[input]]", {"type": '"file"', "paths": '["logs/*.log"]'}, "input files"),
    JournaldInput: ("[[input]]", {"type": '"journald"', "units": '["coder.service"]'}, "input journald"),
    StdinInput: ("[[input]]", {"type": '"stdin"'}, "input stdin"),
    CoderApiInput: ("[[input]]", {"type": '"coder_api"'}, "input coder_api"),
    IndexOutput: ("[[output]]", {"type": '"index"'}, "output index"),
    SplunkHecOutput: (
        "[[output]]",
        {"type": '"splunk_hec"', "endpoints": '["http://127.0.0.1:9"]', "token_file": '"hec-token"'},
        "output splunk_hec",
    ),
    Metrics: ("[metrics]", {"listen": '""'}, "metrics"),
    Coder: ("[coder]", {"url": '"http://127.0.0.1:9"', "token_file": '"hec-token"'}, "coder"),
    Log: ("[log]", {"level": '"info"', "format": '"text"'}, "log"),
}
NEEDED: dict[type, tuple[type, ...]] = {CoderApiInput: (Coder, IndexOutput), FileInput: (IndexOutput,)}


def test_every_option_has_a_change_to_be_tried() -> None:
    for struct, changes in CHANGES.items():
        assert {slot.option.key for slot in slots(struct)} - {"type"} == set(changes), struct
    assert set(CHANGES) == {*INPUT_TYPES.values(), *OUTPUT_TYPES.values(), State, Metrics, Coder, Log}


@pytest.mark.parametrize("struct", CHANGES, ids=lambda struct: struct.__name__)
def test_every_option_takes_effect_with_a_reload_or_is_refused_by_name(
    service: Service, tmp_path: Path, struct: type, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change is told under its table's name, and is what the next reload compares with; what is refused changes nothing."""
    authority = Authority(tmp_path)
    clients = [[f'"{path}"' for path in authority.client(name)] for name in ("one", "two")]
    for name in ("hec-token", "other-token"):
        (tmp_path / name).write_text("user:token\n")
    needed: tuple[type, ...] = NEEDED.get(struct, ())
    files = {"CA": f'"{authority.ca_file}"'}
    ask = ["service", "reload", "-c", str(service.config)]

    def write(changed: dict[str, str]) -> None:
        tables: dict[type, dict[str, str]] = {
            one: dict(TABLES[one][1]) for one in (State, Metrics, Log, *needed, struct)
        }
        tables[State]["dir"] = f'"{service.state}"'
        tables[struct].update(changed)
        text = ""
        for one, values in tables.items():
            text += TABLES[one][0] + "\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
        service.config.write_text(text)

    write({})
    # Standard input is a pipe that stays open, so that its input has not ended.
    reading, writing = os.pipe()
    with service.errors.open("ab") as errors:
        service.process = subprocess.Popen(
            [sys.executable, "-m", "shipper", "run", "-c", str(service.config)], stdin=reading, stderr=errors
        )
    os.close(reading)
    service.wait_for(lambda: "reads into" in service.said(), "the start")
    table = TABLES[struct][2]
    for option, value in CHANGES[struct].items():
        more: dict[str, str] = {}
        if option == "proxy_auth_file":
            more = {"proxy": '"http://127.0.0.1:11"'}
        if option in ("client_cert_file", "client_key_file"):
            # Neither goes without the other; a second one tells the two options apart.
            number = ("client_cert_file", "client_key_file").index(option)
            more = dict(zip(("client_cert_file", "client_key_file"), clients[number], strict=True))
            value = more[option]
        write(more | {option: files.get(value, value)})
        refusal = FIXED.get(struct, {}).get(option)
        if refusal is not None:
            assert main(ask) in (3, 4), option
            assert refusal in capsys.readouterr().err, option
            continue
        assert main(ask) == 0, option
        assert table in capsys.readouterr().out, option
        assert main(ask) == 0, option
        assert capsys.readouterr().out == "reloaded: nothing has changed\n", option
    write({})
    assert main(ask) == 0
    assert (capsys.readouterr().out == "reloaded: nothing has changed\n") == (struct is StdinInput)
    os.close(writing)
    assert service.end() == 0
