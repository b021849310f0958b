"""``python -m tests.fault``: kill the daemon many times, print the figures, and keep them in a page."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fault.campaign import Campaign
from tests.fault.page import text, write_page


def main(arguments: list[str]) -> int:
    """Run a campaign; returns 1 where something was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1500.0, help="events a second")
    parser.add_argument("--no-hec", dest="hec", action="store_false", help="deliver to the index alone")
    parser.add_argument("--folder", type=Path, help="an empty folder to work in and to keep")
    parser.add_argument("--page", type=Path, help="the page to write the figures into")
    options = parser.parse_args(arguments)
    if options.folder is not None:
        options.folder.mkdir(parents=True)
        figures = Campaign(options.folder, options.kills, options.seed, options.rate, hec=options.hec).run()
    else:
        with tempfile.TemporaryDirectory(prefix="connlog-fault-") as folder:
            figures = Campaign(Path(folder), options.kills, options.seed, options.rate, hec=options.hec).run()
    sys.stdout.write(text(figures))
    if options.page is not None:
        write_page(options.page, figures)
    return 1 if figures.verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
