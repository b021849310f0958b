"""The remote: where Coder is, for the commands that ask it, from the configuration or the environment."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from shipper.config.settings import Coder
from shipper.errors import UsageError

URL_VARIABLE = "CODER_URL"


def coder_settings(config: Path | None) -> Coder:
    """Coder as configured; ``$CODER_URL`` where the configuration names none. Raises UsageError, ConfigError."""
    from shipper.config import load_config
    from shipper.config.address import read_web_address

    settings = load_config(config).coder
    url = os.environ.get(URL_VARIABLE, "")
    if not settings.url and url:
        try:
            settings = replace(settings, url=read_web_address(url))
        except ValueError as error:
            raise UsageError(f"${URL_VARIABLE} {error}") from error
    if not settings.url:
        raise UsageError(f"no Coder is named: set coder.url in the configuration, or ${URL_VARIABLE}")
    return settings
