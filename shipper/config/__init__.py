"""The configuration: one TOML file, read whole into frozen settings or refused with every problem named."""

from __future__ import annotations

from shipper.config.hec import SplunkHecOutput
from shipper.config.inputs import CoderApiInput, FileInput, JournaldInput, StdinInput
from shipper.config.load import load_config
from shipper.config.settings import Coder, Config, IndexOutput, Metrics, Output, State

__all__ = [
    "Coder",
    "CoderApiInput",
    "Config",
    "FileInput",
    "IndexOutput",
    "JournaldInput",
    "Metrics",
    "Output",
    "SplunkHecOutput",
    "State",
    "StdinInput",
    "load_config",
]
