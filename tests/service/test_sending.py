"""An output that fails while the service stops ends at once, and what it says is true then."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from shipper.errors import StateFull
from shipper.journal import Journal
from shipper.outputs.delivery import Delivery, Target
from shipper.service.sending import Sending


def test_an_output_that_fails_during_the_stop_promises_no_other_try(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def full() -> Target:
        raise StateFull("no room; it goes on by itself") from OSError("the disk is full")

    journal = Journal(tmp_path / "journal.db", max_bytes=1 << 20, quarantine_max_bytes=1 << 20)
    sending = Sending(Delivery("index", journal, full))
    sending.stop(60.0)
    root = logging.getLogger("shipper")
    root.addHandler(caplog.handler)
    try:
        sending.run()
    finally:
        root.removeHandler(caplog.handler)
    journal.close()
    assert "stay in the journal: the disk is full" in caplog.text
    assert "goes on by itself" not in caplog.text
    assert "try again" not in caplog.text
