"""The outlet: one configured output, opened as a delivery out of the journal."""

from __future__ import annotations

import logging
from pathlib import Path

from shipper.config import IndexOutput
from shipper.errors import ConnlogError, StateNewer
from shipper.journal import Journal
from shipper.outputs.delivery import Delivery, Target
from shipper.outputs.local_index import LocalIndex

log = logging.getLogger(__name__)


def open_delivery(output: IndexOutput, journal: Journal, folder: Path) -> Delivery:
    """The delivery to ``output``, whose state lies in ``folder``. One that can't be opened yet is tried again by
    its own thread; raises StateNewer."""

    def open_target() -> Target:
        return LocalIndex(folder / "index.db", output.retention_seconds)

    delivery = Delivery(output.type, journal, open_target)
    try:
        delivery.open()
    except StateNewer:
        raise
    except ConnlogError as error:
        # The journal keeps what comes.
        log.warning("output %s can't be opened yet: %s", output.type, error)
    return delivery
