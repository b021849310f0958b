"""A reload takes over what changed and leaves the rest alone, or is refused and changes nothing; it never hangs."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.cli.main import main

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
    assert "reloaded: no input and no output has changed" in service.said()
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
        assert urllib.request.urlopen(first, timeout=10).status == 200
    reload(service)
    service.wait_for(lambda: str(service.status()["metrics"]) == f"http://127.0.0.1:{port}/metrics", "the new address")
    assert urllib.request.urlopen(str(service.status()["metrics"]), timeout=10).status == 200
    assert service.end() == 0


def test_the_log_changes_its_level_and_its_form(service: Service) -> None:
    started(service)
    service.config.write_text(service.config.read_text() + '[log]\nformat = "json"\n')
    reload(service)
    service.wait_for(lambda: '"message": "reloaded: no input' in service.said(), "a line of JSON")
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
    assert capsys.readouterr().out == "reloaded\n"
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
