"""Files of names are read in every form people have them in, or refused with the place of what is wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.directory.sighting import Sighting
from shipper.directory.table import read_table
from shipper.errors import InputError

BOB = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
ORG = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"


def read(tmp_path: Path, text: str | bytes) -> list[Sighting]:
    path = tmp_path / "names"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, 100)


def test_csv(tmp_path: Path) -> None:
    text = f'\ufeffkind,ID,username,email,name,seen\r\nuser,{BOB.upper()},bob,b@x,"Bob, B.",1970-01-01T00:00:01Z\r\norganization,{ORG},,,coder,\r\n'
    assert read(tmp_path, text) == [
        Sighting("user", BOB, {"username": "bob", "email": "b@x", "name": "Bob, B."}, 1_000_000_000, "file"),
        Sighting("organization", ORG, {"name": "coder"}, 100, "file"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        f'[{{"id":"{BOB}","username":"bob"}}]',
        f'{{"id":"{BOB}","username":"bob"}}\n\n',
        f'{{"kind":"user","id":"{BOB}","username":"bob","roles":[]}}\n',
        f'{{"users":[{{"id":"{BOB}","username":"bob","organization_ids":[]}}],"count":1}}',
        f"user_id,user\n{BOB},bob\n",
    ],
)
def test_forms_of_one_user(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == [Sighting("user", BOB, {"username": "bob"}, 100, "file")]


def test_workspaces_as_coder_lists_them_name_their_owners_too(tmp_path: Path) -> None:
    text = f'{{"workspaces":[{{"id":"{ORG}","name":"dev","owner_id":"{BOB}","owner_name":"bob","template_name":"docker"}}]}}'
    owner, workspace = read(tmp_path, text)
    assert (owner.kind, owner.values) == ("user", {"username": "bob"})
    assert workspace.values == {"name": "dev", "owner_id": BOB, "template": "docker"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,email\na,b\n", "names:1: has no column id"),
        ("", "names:1: has no column id"),
        (f"id,username\n{BOB},bob,x\n", "names:2: has more cells"),
        ("id,username\nx,bob\n", "names:2: id 'x' is no UUID"),
        (f"id,username,seen\n{BOB},bob,yesterday\n", "names:2: seen 'yesterday' is no time"),
        (f"kind,id,username\nrobot,{BOB},bob\n", "names:2: kind 'robot' is not known"),
        (f"id,username\n{BOB},\n", "names:2: names nothing"),
        (f'id,username\n{BOB},"bob\n', "is no CSV"),
        (f'{{"id":"{BOB}","username":"b"}}\n{{"id"', "names:2: is neither JSON"),
        ("[1]", "names: entry 1: must be an object"),
        ('{"users":[7]}', "names: users 1: must be an object"),
        ("[" * 100_000, "nested too deeply|neither JSON"),
        (b"id,username\n\xff,x\n", "names:2: is not UTF-8"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        read_table(tmp_path / "none", 0)


@given(st.binary(max_size=200) | st.text(alphabet='id,"username\n{}[]:6ba7', max_size=200).map(str.encode))
def test_nothing_else_than_its_own_error_comes_of_any_file(raw: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        with contextlib.suppress(InputError):
            read_table(Path(file.name), 0)
