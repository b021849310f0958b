"""The listener: the metrics' endpoint at the configured address, tried again for as long as that can't be had."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from shipper.errors import ConfigError

if TYPE_CHECKING:
    from shipper.status import Status
    from shipper.web.server import Endpoint

RETRY_SECONDS = 5.0
log = logging.getLogger(__name__)


class Listener:
    """Listens on ``address``, an empty one for nowhere. For one thread."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._endpoint: Endpoint | None = None
        self._next_try = float("-inf")
        self.trouble: str | None = None
        """Why nothing can be asked there now."""
        self.tend()

    @property
    def url(self) -> str | None:
        """Where the metrics are, or None."""
        return None if self._endpoint is None else f"{self._endpoint.url}/metrics"

    def tend(self) -> None:
        """Try again to listen, if it is time to."""
        if self._endpoint is None and self._address and time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + RETRY_SECONDS
            try:
                self._endpoint = _open(self._address)
                self.trouble = None
            except OSError as error:
                self.trouble = (
                    f"metrics.listen: can't listen on {self._address}: {error.strerror or error}; running without metrics "
                    'until it can: free it, or choose another address or port, "127.0.0.1:0" for any'
                )
                log.warning("%s", self.trouble)

    def move(self, address: str) -> None:
        """Listen elsewhere. Raises ConfigError where that can't be, and then listens where it did."""
        if address == self._address:
            return
        try:
            endpoint = _open(address) if address else None
        except OSError as error:
            raise ConfigError(
                [
                    f"metrics.listen: can't listen on {address}: {error.strerror or error}; choose another address or port"
                ]
            ) from error
        self.close()
        self._address, self._endpoint, self.trouble = address, endpoint, None

    def publish(self, status: Status) -> None:
        """Answer with ``status`` from now on."""
        if self._endpoint is not None:
            self._endpoint.publish(status)

    def close(self) -> None:
        """Listen no longer."""
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None


def _open(address: str) -> Endpoint:
    # Imported here: it takes some megabytes and milliseconds that only who listens should pay for.
    from shipper.web.server import Endpoint

    endpoint = Endpoint(address)
    endpoint.start()
    log.info("metrics are on %s/metrics, health on /healthz and /readyz", endpoint.url)
    return endpoint
