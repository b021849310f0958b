"""The crew: what its outputs want of the journal holds from the moment they change."""

from __future__ import annotations

from pathlib import Path

from shipper.config import Config, SplunkHecOutput, State
from shipper.config.settings import IndexOutput, Output
from shipper.journal import Journal
from shipper.service.crew import Crew


def test_the_journal_is_kept_for_the_outputs_of_a_reload(tmp_path: Path) -> None:
    """What comes next is written in the form that they want, not in that of those before."""
    token = tmp_path / "token"
    token.write_text("3a3b5d5c-0000-4000-8000-000000000000\n")
    token.chmod(0o600)
    hec = SplunkHecOutput(endpoints=("http://127.0.0.1:9",), token_file=token)
    journal, failures = Journal(tmp_path / "journal.db"), list[str]()

    def config(*outputs: Output) -> Config:
        return Config(None, State(tmp_path), (), outputs)

    crew = Crew(config(), journal, "host", failures.append)
    crew.start()
    try:
        for outputs, wrapped, original in (
            ((hec,), True, False),
            ((IndexOutput(),), False, True),
            ((hec, IndexOutput()), True, True),
            ((), False, False),
        ):
            crew.swap(config(*outputs))
            assert (journal.wrapping is not None, journal.keeps_originals) == (wrapped, original)
    finally:
        crew.end(lambda: None)
        journal.close()
    assert failures == []
