"""When an output holds the journal up, reading pauses, says so, and goes on by itself; nothing is lost."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service.conftest import Service


def test_a_full_journal_pauses_reading_until_the_output_goes_on(service: Service) -> None:
    service.configure(state='journal_max = "16MiB"')
    service.write(1)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 1, "the first event")
    # Another writer of the index: every batch for it is refused until it lets go.
    other = sqlite3.connect(service.state / "index.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    service.write(12_000, big=True)
    service.wait_for(lambda: service.status().get("state") == "paused", "the pause")
    assert "journal_max" in str(service.status()["paused"])
    assert "reading pauses" in service.said()
    other.execute("ROLLBACK")
    other.close()
    service.wait_for(lambda: len(service.indexed()) == service.written, "the rest")
    assert "reading goes on" in service.said()
    assert service.end() == 0
    assert service.indexed() == list(range(service.written))
