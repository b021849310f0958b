"""Starts connlog with a reader that hangs for good once the file named first is there; the file is gone then.

The product knows nothing of this. ``python hang.py FILE run …``
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from shipper.cli.main import main
from shipper.inputs.tailer import Tailer
from shipper.service import pulse

STALL_SECONDS = 2.0

if __name__ == "__main__":
    trigger = Path(sys.argv[1])
    inner = Tailer.turn

    def turn(*arguments: Any, **named: Any) -> Any:
        if trigger.exists():
            trigger.unlink()
            threading.Event().wait()
        return inner(*arguments, **named)

    tailer: Any = Tailer
    tailer.turn = turn
    pulse.STALL_SECONDS = STALL_SECONDS
    sys.exit(main(sys.argv[2:]))
