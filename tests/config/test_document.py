"""What is shipped and written about the options is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import fields, replace

from shipper.config.document import EXAMPLE_HEC, main, page, shipped_file
from shipper.config.hec import SplunkHecOutput
from shipper.config.inputs import CoderApiInput, FileInput, JournaldInput, StdinInput
from shipper.config.load import parse_config
from shipper.config.option import slots
from shipper.config.settings import Coder, IndexOutput, Log, Metrics, State
from shipper.errors import ConfigError
from shipper.resource import read_data

ROOT = Path(__file__).parents[2]
HOME = {"HOME": "/home/someone"}
STRUCTS = (
    State,
    FileInput,
    JournaldInput,
    StdinInput,
    CoderApiInput,
    IndexOutput,
    Log,
    Metrics,
    Coder,
    SplunkHecOutput,
)


def uncommented(text: str) -> str:
    return re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)


def test_the_files_are_fresh() -> None:
    assert read_data("config/connlog.toml") == shipped_file(), "run 'make docs'"
    assert (ROOT / "docs/configuration.md").read_text() == page(), "run 'make docs'"


def test_the_shipped_file_is_the_defaults_as_it_is_and_with_every_option_uncommented() -> None:
    defaults = parse_config("", None, HOME)
    assert parse_config(shipped_file(), None, HOME) == defaults
    # The input coder_api has to know where Coder is, which has no default.
    url = "https://coder.example.com"
    whole = parse_config(uncommented(shipped_file()).replace('url = ""', f'url = "{url}"'), None, HOME)
    example = replace(EXAMPLE_HEC, token_file=Path.cwd().parent / "hec-token")
    others = (JournaldInput(units=("coder.service",)), StdinInput(), CoderApiInput())
    assert whole == replace(
        defaults, inputs=defaults.inputs + others, outputs=(*defaults.outputs, example), coder=Coder(url=url)
    )


@pytest.mark.parametrize("struct", STRUCTS)
def test_every_option_is_in_the_shipped_file_and_on_the_page(struct: type[Struct]) -> None:
    options = [slot.option for slot in slots(struct)]
    assert len(options) == len(fields(struct))
    for option in options:
        assert re.search(rf"^#{option.key} = ", shipped_file(), re.MULTILINE)
        assert f"| `{option.key}` | " in page()


def test_each_default_is_within_its_own_bounds() -> None:
    uncomment = uncommented(shipped_file())
    assert len(re.findall(r"^\w+ = ", uncomment, re.MULTILINE)) == sum(len(fields(struct)) for struct in STRUCTS)


def test_the_problems_shown_on_the_page_are_what_is_said() -> None:
    shown = re.findall(r"^/etc/connlog/connlog\.toml:\d+: (.*)$", page(), re.MULTILINE)
    text = "[state]\njournal_maxx = '1GiB'\n[[input]]\ntype = 'file'\npaths = ['a']\npoll = '1ms'\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, Path("c"), HOME)
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == shown


def test_stale_files_are_told_of_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("config", "docs"):
        (tmp_path / name).mkdir()
    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.count("is stale; run 'make docs'") == 2
    assert main([], tmp_path) == 0
    assert (tmp_path / "config/connlog.toml").read_text() == shipped_file()
    assert main(["--check"], tmp_path) == 0
    assert capsys.readouterr().err == ""
