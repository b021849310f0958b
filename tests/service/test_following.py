"""``connlog tail -f`` shows what is written, whatever becomes of the daemon and the index meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service.conftest import Service


def test_it_goes_on_over_restarts_kills_and_an_index_that_is_built_anew(service: Service) -> None:
    service.write(3)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 3, "the first events")
    command = [sys.executable, "-m", "shipper"]
    asked = ["-c", str(service.config)]
    tail = subprocess.Popen([*command, "tail", "-f", "--output", "ndjson", *asked], stdout=subprocess.PIPE)
    assert tail.stdout is not None
    seen: list[int] = []
    lines = tail.stdout

    def read() -> None:
        seen.extend(uuid.UUID(json.loads(line)["id"]).int - 1 for line in lines)  # one by one, as they come

    reader = threading.Thread(target=read)
    reader.start()
    try:
        service.wait_for(lambda: seen == [0, 1, 2], "those that were there")
        service.write(2)
        service.wait_for(lambda: seen == [*range(5)], "those that came")
        assert service.end() == 0
        subprocess.run([*command, "index", "rebuild", *asked], check=True, capture_output=True)
        service.start()
        service.write(2)
        service.wait_for(lambda: seen == [*range(7)], "those after a rebuild")
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        service.start()
        service.write(2)
        service.wait_for(lambda: seen == [*range(9)], "those after a kill")
    finally:
        tail.send_signal(signal.SIGINT)
        code = tail.wait()
        reader.join()
        lines.close()
    assert code == 130
    assert service.end() == 0
