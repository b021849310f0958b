"""What the daemon says of itself holds no value of a log and no secret at the level info, and does not flood."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token

if TYPE_CHECKING:
    from tests.service.conftest import Service

WORD = "CONFIDENTIAL-4711"
PLACES = ("WorkspaceName", "UserAgent", "SlugOrPort", "DisconnectReason", "Ip", "AgentName", "Code", "UserID")


def hostile(number: int) -> str:
    """An event of coderd's with the word in every value that an attacker may choose, and one key that nobody knows."""
    stamp = "2026-09-01T10:00:00Z"
    fields = dict.fromkeys(PLACES, f"{WORD}\x1b[2J\n<3>{number}") | {
        "ID": f"00000000-0000-4000-8000-{number:012d}",
        "Time": stamp,
        "ConnectionStatus": "connected",
        "Type": "ssh",
        "SomethingNew": WORD,
    }
    top = {"ts": stamp, "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"], "fields": fields}
    return json.dumps(top) + "\n"


def test_no_value_of_a_log_and_no_secret_is_told(service: Service, tmp_path: Path) -> None:
    """Over good, cut, broken and odd lines, an unknown key, a reload that is refused, and a Splunk that refuses events."""
    (tmp_path / "hec-token").write_text(TOKEN + "\n")
    with HecServer(Token(disabled=True)) as server:
        output = (
            '[[output]]\ntype = "index"\n'
            f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{server.url}"]\ntoken_file = "hec-token"\n'
        )
        service.config.write_text(service.config.read_text() + output)
        with service.log.open("a") as file:
            for number in range(30):
                file.write(hostile(number))
                file.write(hostile(1000 + number)[:-20] + "\n")
                file.write(hostile(2000 + number).replace('"Time": "2026', f'"Time": "{WORD}2026'))
                file.write(f"2026-09-01 10:00:00.000 [info]  coderd: connection_log  ID={WORD}  Time={WORD}\n")
                file.write(f"2026-09-01 10:00:00.000 [erro]  {WORD}: {WORD}\n")
        service.start()
        service.wait_for(lambda: len(service.indexed()) == 30, "the events")
        service.wait_for(lambda: "Token disabled" in service.said(), "the refusal of the token")
        good = service.config.read_text()
        service.config.write_text(good + f'[log]\ntoken = "{WORD}"\n')
        assert service.process is not None
        os.kill(service.process.pid, 1)
        service.wait_for(lambda: "the reload is refused" in service.said(), "the refusal")
        service.config.write_text(good)
        assert service.end() == 0
    said = service.said()
    assert "malformed entries were put into the quarantine" in said
    assert "SomethingNew" in said  # the name of a key, and nothing else of the line
    assert WORD not in said
    assert TOKEN not in said
    assert "\x1b" not in said
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \w+ ", line) for line in said.splitlines())


def test_a_message_that_repeats_is_told_once_in_a_while_by_the_daemon_too(service: Service) -> None:
    """Ten rounds of malformed lines, each told by the reader: the same text is written once within its 20 seconds."""
    service.start()
    service.wait_for(lambda: "reads into" in service.said(), "the start")
    began = time.monotonic()
    for number in range(1, 11):
        with service.log.open("a") as file:
            file.write(hostile(number)[:-20] + "\n")

        def counted(most: int = number) -> bool:
            sources: dict[str, dict[str, int]] = service.status().get("sources", {})  # type: ignore[assignment]
            return sum(one["malformed"] for one in sources.values()) >= most

        service.wait_for(counted, f"malformed line {number}")
    passed = time.monotonic() - began
    assert service.end() == 0
    told = service.said().count("malformed entries were put into the quarantine")
    assert 1 <= told <= 1 + passed // 20
