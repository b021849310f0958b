"""Questions: random ones in the filter language, of every key and of texts that are hard to look for."""

from __future__ import annotations

import re

from hypothesis import strategies as st

NOW = 1_767_225_600_000_000_000
HOUR = 3_600_000_000_000


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{number:012x}"


TEXTS = ["Dev", "dev", "test-1", "a,b", "İx", "x\x00y", "=1+1", "main", "K8s", "dev main"]
TEXTS += ["100%", "un_der", "it's", "Straße", "ẞ", "ſ", "-v", "a:b", "\\d+", "'", "*", "日本", "\u202e", "x" * 70]
texts = st.sampled_from(TEXTS)
_elements = st.sampled_from(
    [
        "type:ssh", "type:vscode", "type:workspace_app", "type:goland,tunnel", "type:cursor", "method:ssh", "app:code-server",
        "workspace:dev", f"workspace:{uuid(3)}", "agent:main,gpu", "slug:dev", 'slug:"a,b"', "reason:de", "reason:1,x",
        f"workspace_id:{uuid(4)}", f"connection_id:{uuid(0xABCDEF01)}", f"username:{uuid(6)}", "username:dev", "user_email:main",
        "workspace_owner:dev", f"workspace_owner:{uuid(2)}", "workspace_owner_email:x", f"organization:{uuid(1)}", "organization:dev",
        "ip:10.0.0.0/8", "ip:10.0.0.1", "ip:::/0", "ip:fd7a:115c:a1e0::/48,192.168.0.0/16", "ip:0.0.0.0/0",
        "code:404", "code:>=200", "code:<0,404", "duration:>30m", "duration:<=1h", "duration:>=0s",
        "connected_after:2h", "connected_before:2h", "connected_after:0001-01-01", 'connected_before:"9999-12-31T23:59:59.999999999Z"',
        "status:ongoing", "status:completed", "state:ongoing", "state:completed", "state:unknown,point",
        "dev", '"dev main"', "main", "İ", "1+1", "cursor", "10.0", uuid(9), uuid(101), uuid(102)[:8], "abcdef01", "req-1",
        "0123456789abcdef0123456789abcdef", "00000003", "/^[Dd]ev$/", "/(?i)k8S/", "/./",
    ]
)  # fmt: skip


def quoted(text: str) -> str:
    """The text so that the language takes it whole."""
    return f'"{text}"'


def _pieces(text: str) -> st.SearchStrategy[str]:
    """Any part of a text, in any case of letters."""
    whole = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    part = whole.map(lambda ends: text[min(ends) : max(ends)] or text)
    return st.one_of(part, part.map(str.upper), part.map(str.lower))


_piece = texts.flatmap(_pieces).filter(lambda text: text.strip() != "")
_text_keys = [
    "workspace",
    "agent",
    "slug",
    "app",
    "reason",
    "username",
    "user_email",
    "workspace_owner",
    "organization",
]
_drawn = st.one_of(
    st.tuples(st.sampled_from(_text_keys), st.lists(st.one_of(texts, _piece), min_size=1, max_size=3)).map(
        lambda made: f"{made[0]}:" + ",".join(map(quoted, made[1]))
    ),
    _piece.map(quoted),
    st.tuples(st.sampled_from(["", "(?i)"]), st.sampled_from(["^", ""]), _piece, st.sampled_from(["$", "", "|^K"])).map(
        lambda made: "/" + made[0] + made[1] + re.escape(made[2]).replace("/", "\\/") + made[3] + "/"
    ),
    st.tuples(st.sampled_from(["after", "before"]), st.integers(-6, 6), st.sampled_from(["Z", "+05:45", "-08:00"])).map(
        lambda made: f'connected_{made[0]}:"2026-01-01T{made[1] + 6:02d}:00:00{made[2]}"'
    ),
    st.tuples(
        st.sampled_from(["code", "duration"]), st.sampled_from(["=", ">", ">=", "<", "<="]), st.integers(0, 5)
    ).map(lambda made: f"code:{made[1]}{made[2] * 100}" if made[0] == "code" else f"duration:{made[1]}{made[2]}h"),
)
queries = st.lists(st.tuples(st.booleans(), _elements | _drawn), max_size=3).map(
    lambda parts: " ".join(("-" if negated else "") + element for negated, element in parts)
)
