"""The system's journal: whether it keeps what coderd writes until connlog has read it, and lets connlog read it.

Facts: journald.conf(5): 10,000 entries in 30 s of one unit unless set, Storage=auto keeps a journal over a reboot only where
/var/log/journal is there. Message a596d6fe7bfa4994828e72309e95d61e says how many entries a rate limit threw away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from shipper.config import JournaldInput
from shipper.doctor.account import ENTER, READ, Account
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.doctor.unit import ask, ask_unit
from shipper.errors import AccessError, AccessMissing, AccessUnknown, ServiceError
from shipper.inputs.journalctl import Match, matches_of, refusals

CHECK = "journald"
BURST_COUNT, INTERVAL_SECONDS = 10_000, 30.0
"""What journald allows a unit where nothing is set."""
SAMPLE_SECONDS = 60
SAMPLE_MAX_COUNT = 200_000
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"
SUPPRESSED_DAYS = 7
CONF_FOLDERS = ("/usr/lib/systemd", "/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
"""A later one takes the place of a file with the same name in an earlier one."""
PERSISTENT, VOLATILE = Path("/var/log/journal"), Path("/run/log/journal")
CONF_MAX_BYTES = 1 << 20
_SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 0.001, "us": 1e-6, "m": 60.0, "min": 60.0, "h": 3600.0}
MACHINE_ID = Path("/etc/machine-id")


def examine(case: Case) -> Iterator[Finding]:
    """For each input that follows the journal."""
    if case.config is None:
        return
    for number, source in enumerate(case.config.inputs, start=1):
        if isinstance(source, JournaldInput):
            yield from of_input(f"input[{number}]", source, case.account)


def of_input(key: str, source: JournaldInput, account: Account) -> Iterator[Finding]:
    """What stands between a unit's output and the input."""
    for text in refusals(source):
        yield warning(CHECK, key, text, "check the name: systemctl status, or journalctl -F SYSLOG_IDENTIFIER")
    conf = configuration(source.namespace)
    if not source.directory:
        yield from _storage(key, conf, source.namespace)
    yield from _readable(key, source, account)
    for match in matches_of(source):
        if match.option == "unit" and not source.directory:
            yield from _rate(key, match, conf)


def _storage(key: str, conf: dict[str, str], namespace: str) -> Iterator[Finding]:
    how = conf.get("Storage", "auto").lower()
    name = "journald.conf" + (f" (namespace {namespace})" if namespace else "")
    advice = "mkdir -p /var/log/journal, Storage=persistent in /etc/systemd/journald.conf, systemctl restart systemd-journald"
    if how == "none":
        yield problem(CHECK, key, f"{name} has Storage=none: nothing is kept, so nothing can be read", advice)
    elif how == "volatile" or (how == "auto" and not PERSISTENT.is_dir()):
        text = f"the journal lies in memory ({name}: Storage={how}): what was not read before a reboot is lost"
        yield warning(CHECK, key, text, advice)
    else:
        yield ok(CHECK, key, f"the journal is kept over a reboot (Storage={how})")


def _readable(key: str, source: JournaldInput, account: Account) -> Iterator[Finding]:
    """The newest files of the journal, as the account sees them."""
    folders = [Path(source.directory)] if source.directory else [*_own_folders(source.namespace)]
    seen = False
    for folder in folders:
        for path in (folder, folder / "system.journal"):
            try:
                account.require(path, READ | ENTER if path == folder else READ)
            except AccessMissing:
                continue
            except AccessUnknown:
                yield note(CHECK, key, f"{path} can't be looked at", "run the doctor as root to know")
                return
            except AccessError as error:
                text = f"{error}: of the journal it sees its own entries only"
                advice = (
                    f"usermod -a -G systemd-journal {account.name}, or SupplementaryGroups=systemd-journal in the unit"
                )
                yield problem(CHECK, key, text, advice)
                return
            else:
                seen = True
    if seen:
        yield ok(CHECK, key, f"{account.name} may read the journal")


def _own_folders(namespace: str) -> Iterator[Path]:
    try:
        machine = MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return
    for base in (PERSISTENT, VOLATILE):
        folder = base / (f"{machine}.{namespace}" if namespace else machine)
        if folder.is_dir():
            yield folder


def _rate(key: str, match: Match, conf: dict[str, str]) -> Iterator[Finding]:
    """The unit's own limit, or journald's, against what it writes now and what was thrown away."""
    try:
        unit = ask_unit(match.name) if not any(char in match.name for char in "*?[") else None
    except ServiceError:
        unit = None
    burst, seconds = _number(conf.get("RateLimitBurst"), BURST_COUNT), INTERVAL_SECONDS
    seconds = _duration(conf.get("RateLimitIntervalSec"), INTERVAL_SECONDS)
    whose = "journald's"
    if unit is not None and unit.says("LoadState") == "not-found":
        text = f"systemd knows no unit {match.name}"
        yield warning(CHECK, key, text, "name the unit in which coderd runs: systemctl list-units '*coder*'")
        return
    if unit is not None and unit.there:
        own = unit.says("LogRateLimitBurst")
        if own.isdigit() and int(own):
            burst, whose = int(own), "its own"
        if unit.settings("LogRateLimitIntervalSec"):
            seconds, whose = _duration(unit.settings("LogRateLimitIntervalSec")[-1], seconds), "its own"
        if unit.says("LogNamespace") and not match.where:
            text = f"{match.name} logs into the namespace {unit.says('LogNamespace')}, which this input does not read"
            yield problem(CHECK, key, text, f'set namespace = "{unit.says("LogNamespace")}"')
    advice = (
        f"systemctl edit {match.name}: [Service] LogRateLimitIntervalSec=0 (no limit), or a larger LogRateLimitBurst=; "
        "then restart it"
    )
    lost = _suppressed(match)
    if lost:
        text = (
            f"journald threw away {lost} entries of {match.name} in the last {SUPPRESSED_DAYS} days, by its rate limit"
        )
        yield problem(CHECK, key, text, advice)
    if not burst or not seconds:
        yield ok(CHECK, key, f"{match.name} has no rate limit")
        return
    written = _written(match)
    allowed = f"{burst} entries in {seconds:g} s ({whose} limit; more where the disk has room)"
    if written is None:
        yield note(CHECK, key, f"{match.name} may write {allowed}; how much it writes can't be asked")
        return
    share = written / SAMPLE_SECONDS * seconds / burst
    text = f"{match.name} wrote {written} entries in the last {SAMPLE_SECONDS} s; it may write {allowed}"
    if share >= 0.5:
        yield warning(CHECK, key, f"{text}: what is above is thrown away before connlog can see it", advice)
    else:
        yield ok(CHECK, key, text)


def _written(match: Match) -> int | None:
    """Entries of the last minute."""
    try:
        said = ask(
            *("journalctl", "--no-pager", "--output=cat", f"--since=-{SAMPLE_SECONDS}s", *match.where),
            *("--output-fields=PRIORITY", f"--lines={SAMPLE_MAX_COUNT}", f"--unit={match.name}"),
        )
    except ServiceError:
        return None
    return None if said.code else sum(1 for line in said.out.splitlines() if line and not line.startswith("-- "))


def _suppressed(match: Match) -> int:
    """Entries that journald says it threw away."""
    try:
        said = ask(
            *("journalctl", "--no-pager", "--output=json", f"--since=-{SUPPRESSED_DAYS}d", *match.where),
            f"MESSAGE_ID={SUPPRESSED}",
        )
    except ServiceError:
        return 0
    total = 0
    for line in said.out.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("OBJECT_SYSTEMD_UNIT", entry.get("UNIT")) == match.name:
            dropped = str(entry.get("N_DROPPED", ""))
            total += int(dropped) if dropped.isdigit() and len(dropped) < 16 else 1
    return total


def configuration(namespace: str = "") -> dict[str, str]:
    """journald's settings: its file, then its drop-ins by name, as systemd reads them."""
    name = f"journald@{namespace}.conf" if namespace else "journald.conf"
    main: list[Path] = []
    drops: dict[str, Path] = {}
    for folder in map(Path, CONF_FOLDERS):
        if (folder / name).is_file():
            main = [folder / name]
        try:
            found = sorted((folder / f"{name}.d").glob("*.conf"))
        except OSError:
            continue
        drops |= {path.name: path for path in found}
    settings: dict[str, str] = {}
    for path in [*main, *(drops[key] for key in sorted(drops))]:
        try:
            with path.open("rb") as file:
                text = file.read(CONF_MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        for line in text.splitlines():
            key, equals, value = line.strip().partition("=")
            if equals and key[:1] not in "#;[":
                settings[key.strip()] = value.strip()
    return {key: value for key, value in settings.items() if value}


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else default


def _duration(text: str | None, default: float) -> float:
    """Seconds of a span of systemd's, such as 30s, 1min 30s or 0."""
    if text is None:
        return default
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    if not parts or any(unit not in _SECONDS for _, unit in parts):
        return default
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
