"""``connlog parse``: what it prints, what it complains of, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

GOOD = (
    b"2025-07-03 06:57:16.144 [info]  coderd: connection_log  request_id=de3f6004-6cc1-4880-a296-d7c6ca1abf75"
    b"  ID=f0249951-d454-48f6-9504-e73340fa07b7  OrganizationID=0665a54f-0b77-4a58-94aa-59646fa38a74"
    b'  WorkspaceName=dev  AgentName=main  Type=ssh  Code=<nil>  Ip=127.0.0.1  UserAgent=""  UserID=<nil>'
    b'  SlugOrPort=""  ConnectionID=dcfe943f-2afb-4e3f-8f00-3eb1718a3f8b  DisconnectReason=""'
    b'  Time="2025-07-03T06:57:16.144719Z"  ConnectionStatus=connected\n'
)
BAD = b'2025-07-03 06:57:17.000 [info]  coderd: connection_log  ID=a  UserAgent="Mozilla\x1b[31m\n'
NOISE = b"2025-07-03 06:57:18.000 [info]  coderd: audit_log  ID=b\n"


def connlog(*args: str, stdin: bytes = b"", cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "shipper", "parse", *args], input=stdin, capture_output=True, cwd=cwd, check=False
    )


def test_good_lines_come_out_and_bad_ones_are_shown(tmp_path: Path) -> None:
    """NDJSON on stdout, PATH:LINE:COLUMN with the place marked on stderr, exit 1."""
    (tmp_path / "coder.log").write_bytes(NOISE + GOOD + BAD + GOOD.replace(b"f0249951", b"f0249952"))
    done = connlog("coder.log", cwd=tmp_path)
    assert [json.loads(line)["id"][:8] for line in done.stdout.splitlines()] == ["f0249951", "f0249952"]
    reason, excerpt, mark = done.stderr.decode().splitlines()
    assert reason == "coder.log:3:73: this quoted string is not closed on its line"
    assert excerpt[mark.index("^")] == '"'
    assert "\x1b" not in done.stderr.decode()
    assert done.returncode == 1


def test_the_line_is_right_wherever_the_file_is_cut(tmp_path: Path) -> None:
    """Lines are counted only when somebody asks; the number must not suffer, in a file, a pipe or a packed file."""
    (tmp_path / "coder.log").write_bytes(NOISE * 9000 + BAD + NOISE * 9000 + BAD)
    wanted = [b"9001", b"18002"]
    for args, stdin in ((("coder.log",), b""), (("-",), (tmp_path / "coder.log").read_bytes())):
        done = connlog(*args, stdin=stdin, cwd=tmp_path)
        assert [line.split(b":")[1] for line in done.stderr.splitlines()[::3]] == wanted


def test_explain_says_what_each_entry_is(tmp_path: Path) -> None:
    """An event with its fields, a malformed one with its place, a stranger with the reason."""
    done = connlog("--explain", stdin=NOISE + GOOD + BAD + b"{}\n", cwd=tmp_path)
    told = done.stdout.decode()
    assert "<stdin>:1: not ours, no wrapper: it does not mention connection_log" in told
    assert "<stdin>:2: event, human, no wrapper, coderd of July 2025 or later" in told
    assert "user_id" not in told
    assert "connection_id          dcfe943f-2afb-4e3f-8f00-3eb1718a3f8b   (ConnectionID)" in told
    assert "<stdin>:3:73: this quoted string is not closed on its line" in told
    assert "\x1b" not in told
    assert done.returncode == 1


def test_explain_takes_no_name_out_of_a_value(tmp_path: Path) -> None:
    """The version is told by the names of fields, not by what a user agent says."""
    line = GOOD.replace(b'UserAgent=""', b'UserAgent="x AgentID=1 IP=2 ConnectionMethod=ssh CloseReason= ID"')
    assert line != GOOD
    told = connlog("--explain", stdin=line, cwd=tmp_path).stdout.decode()
    assert "event, human, no wrapper, coderd of July 2025 or later" in told
    assert "   (Ip)" in told
    assert "(IP)" not in told


def test_explain_tells_of_a_line_that_is_too_long(tmp_path: Path) -> None:
    """It is given up before its end, and shown with its beginning."""
    line = GOOD.replace(b'UserAgent=""', b"UserAgent=" + b"x" * 3_000_000)
    done = connlog("--explain", stdin=line + GOOD, cwd=tmp_path)
    assert b"the entry is longer than 1048576 bytes" in done.stdout
    assert done.stdout.count(b": event, human") == 1


def test_explain_names_the_logger_where_it_is_at_fault(tmp_path: Path) -> None:
    """A logger's name where a list of names was expected is what the words speak of."""
    line = b'{"ts":"2026-01-12T10:11:26Z","level":"INFO","msg":"connection_log","logger_names":"coderd","fields":{"ID":"a"}}\n'
    done = connlog("--explain", stdin=line, cwd=tmp_path)
    assert b"not ours, no wrapper: the name of its logger does not stand where coderd has it" in done.stdout


def test_what_can_not_be_read_does_not_stop_what_can(tmp_path: Path) -> None:
    """A missing file is named, the next one is read, and the exit code tells."""
    (tmp_path / "coder.log").write_bytes(GOOD)
    done = connlog("missing.log", "coder.log", cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == b"connlog: missing.log: No such file or directory\n"
    assert done.returncode == 4


def test_wrong_usage_is_a_sentence(tmp_path: Path) -> None:
    """A zone that is none, a size that is none, no name at all: exit 2, no traceback."""
    for args in (["--tz", "Mars"], ["--expand-max", "lots"], [""]):
        done = connlog(*args, cwd=tmp_path)
        assert done.returncode == 2, done
        assert done.stderr.startswith(b"connlog: ")
        assert b"Traceback" not in done.stderr


def test_junk_is_no_event_and_no_error(tmp_path: Path) -> None:
    """Bytes of all kinds, half a line at the end, a line far over the limit."""
    junk = bytes(range(256)) * 64 + b"\n" + b"x" * 3_000_000 + b"\n" + GOOD + BAD[:30]
    done = connlog(stdin=junk, cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 1
    assert done.returncode == 0


def test_an_event_over_the_limit_is_not_silent(tmp_path: Path) -> None:
    """Of ours and too long: malformed, in either form, wherever the long value stands."""
    long = b"y" * 1_100_000
    human = GOOD.replace(b'UserAgent=""', b"UserAgent=" + long)
    flat = b'{"ts":"2025-07-03T06:57:16Z","level":"INFO","msg":"connection_log","caller":"c","func":"f","logger_names":["coderd"],'
    done = connlog(stdin=human + flat + b'"fields":{"UserAgent":"' + long + b'","ID":"x"}}\n' + GOOD, cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.count(b"longer than 1048576 bytes") == 2
    assert done.returncode == 1


def test_of_many_lines_the_one_at_fault_is_named(tmp_path: Path) -> None:
    """A JSON document over many lines is broken in its fourth one."""
    document = b'{\n    "ts": "2025-07-03T06:57:16Z",\n    "msg": "connection_log", "logger_names": ["coderd"],\n    "fields": {"ID" 1}\n}\n'
    done = connlog(stdin=NOISE * 20 + document, cwd=tmp_path)
    assert done.stderr.startswith(b"<stdin>:24:21: the JSON is broken")
    assert done.returncode == 1


def test_a_pipe_that_is_named_like_a_file_is_no_trouble(tmp_path: Path) -> None:
    """Lines of what can't be read twice are counted on the way."""
    (tmp_path / "coder.log").write_bytes(NOISE * 40 + BAD)
    shell = f"{sys.executable} -m shipper parse <(cat coder.log) coder.log"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, cwd=tmp_path, check=False)
    assert done.stderr.count(b":41:73: this quoted string") == 2


def test_an_event_over_the_limit_is_not_silent_behind_a_prefix(tmp_path: Path) -> None:
    """As a bare one; and the line is right although lines before it were not counted one by one."""
    long = GOOD.replace(b'UserAgent=""', b"UserAgent=" + b"y" * 3_000_000)
    (tmp_path / "coder.log").write_bytes(NOISE * 100 + b"".join(b"[API] " + line for line in (GOOD, long, GOOD)))
    done = connlog("coder.log", cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.startswith(b"coder.log:102:")
    assert b"longer than 1048576 bytes" in done.stderr


def test_a_document_that_never_ends_swallows_nothing(tmp_path: Path) -> None:
    """Whole events at column 0 behind an opened brace are events."""
    done = connlog(stdin=NOISE * 20 + b"{\n    connection_log\n" + GOOD + b"}\n" + NOISE, cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 1
