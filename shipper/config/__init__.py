"""The configuration: one TOML file, read whole into frozen settings or refused with every problem named."""

from __future__ import annotations

from shipper.config.hec import SplunkHecOutput
from shipper.config.load import load_config
from shipper.config.settings import Coder, Config, FileInput, IndexOutput, Metrics, Output, State

__all__ = [
    "Coder",
    "Config",
    "FileInput",
    "IndexOutput",
    "Metrics",
    "Output",
    "SplunkHecOutput",
    "State",
    "load_config",
]
