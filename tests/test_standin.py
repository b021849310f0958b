"""A stand-in spares what a library imports for nothing, and whoever asks it for something never notices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOAD = "import sys; sys.path.insert(0, {folder!r}); from shipper.standin import load_lean; load_lean({names}); "


def said(code: str, folder: Path | str = "", *names: str) -> list[str]:
    """What a new process prints that has loaded ``names`` lean."""
    whole = LOAD.format(folder=str(folder), names=", ".join(map(repr, names))) + code
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Imports what is spared in both ways, and uses it only when it is called."""
    (tmp_path / "library.py").write_text(
        "import textwrap\nimport email.header\nfrom email import header\n"
        "def wrapped(text):\n    return textwrap.shorten(text, 8)\n"
        "def made(text):\n    return str(header.Header(text)), header.Header is email.header.Header\n"
    )
    (tmp_path / "eager.py").write_text("from textwrap import dedent\nsaid = dedent('  x')\n")
    (tmp_path / "broken.py").write_text("import textwrap\n1 / 0\n")
    return tmp_path


def test_what_is_spared_is_not_loaded_before_it_is_used(library: Path) -> None:
    code = "print('textwrap' in sys.modules); import library; print(library.wrapped('one two three'), 'textwrap' in sys.modules)"
    assert said(code, library, "library") == ["False", "[...] True"]


def test_a_part_of_a_package_is_spared_too(library: Path) -> None:
    code = "import library; print('email.header' in sys.modules, *library.made('x'), 'email.header' in sys.modules)"
    assert said(code, library, "library") == ["False x True True"]


def test_who_imports_the_module_afterwards_has_the_module_itself(library: Path) -> None:
    code = (
        "import library, textwrap; from types import ModuleType; "
        "print(type(textwrap) is ModuleType, textwrap is not library.textwrap, textwrap.dedent is library.textwrap.dedent)"
    )
    assert said(code, library, "library") == ["True True True"]


def test_what_a_library_wants_at_once_is_loaded_at_once(library: Path) -> None:
    assert said("import eager; print(eager.said, 'textwrap' in sys.modules)", library, "eager") == ["x True"]


def test_a_module_that_is_there_is_left_alone(library: Path) -> None:
    code = "import library, textwrap; load_lean('eager'); print(textwrap is sys.modules['textwrap'])"
    assert said(code, library, "library") == ["True"]


def test_a_library_that_cant_be_loaded_leaves_nothing_behind(library: Path) -> None:
    code = (
        "exec('try:\\n load_lean(\"broken\")\\nexcept ZeroDivisionError: pass'); "
        "print('textwrap' in sys.modules, 'broken' in sys.modules)"
    )
    assert said(code, library) == ["False False"]


def test_what_a_stand_in_does_not_have_is_missing_as_in_the_module(library: Path) -> None:
    code = "import library; print(hasattr(library.textwrap, 'nothing'), hasattr(library.textwrap, '__path__'))"
    assert said(code, library, "library") == ["False False"]


def test_the_libraries_of_a_run_spare_what_they_have_no_use_for() -> None:
    """Whoever made them may use more of it one day: then this says what a start pays for."""
    names = (
        "msgspec",
        "orjson",
        "logging",
        "socket",
        "zstandard",
        "http.client",
        "watchdog.observers",
        "watchdog.events",
    )
    code = (
        "print(*sorted({'ast', 'calendar', 'ctypes.util', 'email.header', 'inspect', 'msgspec.inspect', 'platform', "
        "'selectors', 'ssl', 'subprocess', 'tempfile', 'textwrap', 'tokenize', 'typing_extensions'} & set(sys.modules)))"
    )
    assert said(code, "", *names) == [""]


def test_what_was_spared_works_when_it_is_wanted() -> None:
    """TLS, the tables of msgspec's types, data classes without a docstring, and a traceback with its lines."""
    code = (
        "import http.client, msgspec, dataclasses, platform, traceback, uuid, zstandard\n"
        "print(type(http.client.HTTPSConnection('localhost')._context).__name__)\n"
        "print(type(msgspec.inspect.type_info(int)).__name__, msgspec.json.schema(int))\n"
        "print(dataclasses.make_dataclass('C', ['x']).__doc__)\n"
        "print(platform.system() != '', platform.python_implementation(), zstandard.backend)\n"
        "print(msgspec.json.decode('[1]', type=list[int]))\n"
    )
    names = ("msgspec", "orjson", "logging", "socket", "zstandard", "http.client")
    assert said("\n" + code, "", *names) == [
        "SSLContext",
        "IntType {'type': 'integer'}",
        "C(x: 'typing.Any')",
        "True CPython cext",
        "[1]",
    ]
