"""The shape: the lines of one form whose fields stand in the same order, rendered by functions made for them.

A line is cut around the fields that are new in each event (ids, times), which are checked by one expression. What
stands between two of them is a run of fields: who came by what way to which workspace. Runs come again, and what they
give is remembered as a whole; of a run that is new, each field is. The functions' text is put together from places
and from the names of keys; what a log line says reaches them as values.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from itertools import pairwise
from typing import Any

import msgspec

from shipper.alias import KEYS
from shipper.form import Form
from shipper.look import GENERAL, ZEROS, Looks
from shipper.memo import Cache, Memo, RunMemo, SecondMemo, TextMemo
from shipper.normalisation import Normaliser
from shipper.part import NEW_IN_EACH, OWN_KEYS, TRACE, Part, flags_of, given_of, nullable_of, parts_of
from shipper.record import SCHEMA, Encoded, JsonValue
from shipper.timestamp import canonical
from shipper.value import Odd
from shipper.workspace import WORKSPACE, Workspace

Render = Callable[[str, str, str, str, str, int | str, str], Encoded | None]
"""A line from its first field on, ``logged`` of ``Encoded`` and two parts that follow it in the log's part of the record as far
as the header tells it, ``origin`` of ``Encoded`` and two that follow it in the source's part, to the record; None or Odd: not
this shape. No line feed is in any of them."""
Kind = tuple[str | None, str | None, str | None, str | None, bool]
"""The fields of type, method, app or slug, and slug, as they stand, and whether there is a connection id."""

_KIND = ("type", "method", "app_or_slug", "slug_or_port")
_TOGETHER = -1  # the place of a workspace's fields, whose parts of the record are one
_encode = msgspec.json.Encoder().encode


def to_json(value: object) -> str:
    """JSON as the records have it."""
    return _encode(value).decode()


def no_trace(*, full: bool) -> str:
    """The end of a log's part where the line names no trace."""
    return ',"trace":null,"span":null}' if full else "}"


Fit = Callable[..., tuple[str, ...]]
"""The texts of a line's runs, and whether each of its new fields that can be null is given, to the segments of the record
that they give."""


class Shape:
    """Lines with the same fields new in each at the same places among runs that begin alike: ``initial`` is what their
    fields begin with. What tells their runs is added by ``learn``, for each sequence of keys."""

    def __init__(self, initial: str, between: str, cache: Cache) -> None:
        self.initial = initial
        self._between = between
        self._fits: dict[int, list[Fit]] = {}
        """By the number of the first run's fields, less one: those of another number would only be tried in vain."""
        self.runs = RunMemo(cache, self._segments)
        self.render: Render

    def _segments(self, runs: tuple[Any, ...]) -> tuple[str, ...]:
        for fit in self._fits.get(runs[0].count(self._between), ()):
            try:
                return fit(*runs)
            except (Odd, ValueError):
                continue
        raise Odd

    def learn(self, fit: Fit, fields: int) -> None:
        """Take lines of one more sequence of keys, whose first run has so many fields."""
        self._fits.setdefault(fields - 1, []).append(fit)

    def forget(self, fit: Fit) -> None:
        """Give up a sequence of keys."""
        for fits in self._fits.values():
            if fit in fits:
                fits.remove(fit)
        self.runs.clear()


class ShapeMaker:
    """Makes the shapes of one form. What a run or a field gives is remembered, of a field for all shapes."""

    def __init__(self, form: Form, normaliser: Normaliser, cache: Cache, seconds: SecondMemo) -> None:
        self._form = form
        self._normaliser = normaliser
        self._full = normaliser.full
        self._cache = cache
        self._seconds = seconds
        self._spaced = SecondMemo(self._spaced_second)
        self._memos: dict[tuple[str, str, str], Memo[str, Any]] = {}
        self._kinds: dict[tuple[str | None, ...], Memo[Kind, tuple[Any, ...]]] = {}
        self._shapes: dict[tuple[tuple[str | None, str], ...], Shape] = {}

    def make(self, keys: tuple[str, ...]) -> tuple[Shape, Fit] | None:
        """The shape of lines with these keys, and what it has learned for them; None where one alone can't
        tell what a field means."""
        form = self._form
        names: dict[str, str] = {}
        for key, aliases in KEYS.items():
            found = [name for name in aliases if name in keys]
            if len(found) > 1:
                return None
            if found:
                names[key] = found[0]
        if form.human:
            # Here they are fields, in JSON they stand beside the other ones.
            names.update((key, key) for key in TRACE if key in keys)
        if len(set(keys)) != len(keys) or not all(map(form.plain, keys)):
            return None
        if not {"id", "time", "status"} <= names.keys() or ("trace" in names) != ("span" in names):
            return None
        at = {key: keys.index(name) for key, name in names.items()}
        parts = parts_of(keys, at)
        kind = tuple((part.key, keys[part.places[0]]) for part in parts)
        shape = self._shapes.get(kind)
        if shape is None:
            shape = self._shapes[kind] = Shape(form.lead(keys[0])[0], form.between, self._cache)
            shape.render = self._render(keys, names, parts, shape)
        fit = self._fit(keys, names, at, parts)
        shape.learn(fit, next(len(part.places) for part in parts if part.key is None))
        return shape, fit

    def _render(self, keys: tuple[str, ...], names: dict[str, str], parts: list[Part], shape: Shape) -> Render:
        space: dict[str, Any] = {
            "seconds": self._seconds,
            "spaced": self._spaced,
            "zeros": ZEROS,
            "other_time": self._other_time,
            "runs": shape.runs,
        }
        place = {part.key: part.name for part in parts if part.key is not None}
        body = [*self._cut(keys, parts, space), self._check(keys, parts, space)]
        given, before, record = self._record(place, space)
        runs = [part.name for part in parts if part.key is None]
        # The comma: of one alone it is a tuple too.
        body += [f"{given} = runs[{', '.join([*runs, *flags_of(place)])},]", *before]
        time = place["time"]
        # RFC 3339, or what Go prints of a time, or something else.
        usual = f"f'{{seconds[{time}[:19]]}}.{{digits}}{{lacks}}'"
        other = f"f'{{spaced[{time}[:20]]}}{{digits}}{{zeros[len(digits)]}}'"
        body += [
            f"digits = {time}[20:-1]",
            f"if lacks is not None and digits.isdigit(): time = {usual}",
            f"elif {time}[-10:] == ' +0000 UTC' and (digits := {time}[20:-10]).isdigit() and {time}.isascii():",
            f"    time = {other}",
            f"else: time = other_time({time})",
        ]
        body.append(f"return {record}")
        render: Render = _function("render", "line, logged, stamp, log, origin, place, meta", body, space)
        return render

    # -- a line to its parts ---------------------------------------------------------------

    def _cut(self, keys: tuple[str, ...], parts: list[Part], space: dict[str, Any]) -> list[str]:
        """Cuts the line into its parts, at what stands between them: all but the first are without their lead."""
        body = []
        for number, (part, following) in enumerate(pairwise(parts)):
            lead = self._form.lead(keys[following.places[0]])
            space[f"cut{number}"] = self._quote(part) + self._form.between + lead + self._quote(following)
            body.append(f"{part.name}, _, line = line.partition(cut{number})")
        return [*body, f"{parts[-1].name} = line"]

    def _check(self, keys: tuple[str, ...], parts: list[Part], space: dict[str, Any]) -> str:
        """One look at all fields that are new in each line."""
        fresh = [part for part in parts if part.key is not None]
        end, before, after = "", [], []
        if parts[0].key is not None:
            # Looked at as it stands: its letters may be hexadecimal digits, of which any will do in what follows it.
            space["lead"] = self._form.lead(keys[0]) + self._quote(parts[0])
            name = parts[0].name
            before += [f"rest = {name}.removeprefix(lead)", f"if rest is {name}: return None", f"{name} = rest"]
        if parts[-1].key is not None and (end := self._quote(parts[-1]) + self._form.end):
            after.append(f"{parts[-1].name} = {parts[-1].name}[:-{len(end)}]")
        new = [part.key or "" for part in fresh]
        looks = Looks(self._form, new, nullable_of(new), end)
        space |= {"known": looks.known, "look": looks.look, "general": GENERAL}
        joined = r"\n".join(f"{{{part.name}}}" for part in fresh)
        told = ", ".join([*flags_of(new), "lacks"])
        return "\n    ".join(
            [
                *before,
                f"fresh = f'{joined}'",
                "looks = fresh.encode().translate(general)",
                "told = known(looks) or look(fresh, looks)",
                "if told is None: return None",
                f"{told}, = told",
                *after,
            ]
        )

    def _quote(self, part: Part) -> str:
        """What stands on both sides of a field that is always a text."""
        return '"' if part.key == "time" or (part.key == "id" and not self._form.human) else ""

    def _around(self, key: str) -> str:
        """Sets what stands in the record before and behind a field that is new in each line and can be null."""
        quote = '"' if self._form.human else ""
        nothing = f'"{key}":null,' if self._full else ""
        return (
            f"before_{key}, behind_{key} = ('\"{key}\":{quote}', '{quote},') if {given_of(key)} else ('{nothing}', '')"
        )

    def _spaced_second(self, text: str) -> str:
        """``2026-01-01 10:00:00.`` to the same as records have it."""
        if text[10] != " " or text[19:] != ".":
            raise Odd
        return f"{self._seconds[f'{text[:10]}T{text[11:19]}']}."

    def _other_time(self, text: str) -> str:
        """A time of any form."""
        found = canonical(text)
        if found is None:
            raise Odd
        return found

    # -- parts to the record ---------------------------------------------------------------

    def _record(self, place: dict[str, str], space: dict[str, Any]) -> tuple[str, list[str], str]:
        """The names of the segments that a line's runs give, what is done before a record is made, and what makes it of the
        segments and of what is new in each line."""
        space["Encoded"] = Encoded
        text = [f'{{{{"schema":{SCHEMA},"id":"{{{place["id"]}}}","time":"{{time}}",']
        split = _split_keys(place)
        for number, keys in enumerate(split):
            if number:
                text.append(f"{{{place[keys[0]]}}}")
            text.append(f"{{s{number}}}")
        if "trace" in place:
            trace = f',"trace":"{{{place["trace"]}}}","span":"{{{place["span"]}}}"}}}}'
        elif self._form.human:
            trace = no_trace(full=self._full).replace("}", "}}")
        else:
            trace = ""
        names = "".join(f"s{number}, " for number in range(len(split) + 1))
        text.append(
            f'"log":{{{{"time":"{{logged}}{{stamp}}{{log}}{trace},{{origin}}{{place}}{{meta}}{{s{len(split)}}}}}}}'
        )
        # Of what is null there is nothing to put between the segments.
        nulls = [f"if not {given_of(key)}: {place[key]} = ''" for key in nullable_of(place)]
        return names, nulls, f"Encoded({place['id']}, time, f'{''.join(text)}', logged, origin)"

    def _known(self, key: str, at: dict[str, int]) -> str:
        """The record's part for a key that is not new in each line, as it stands in a function's text."""
        if key in ("type", "method", "app"):
            return "{kind}" if key == "type" else ""
        if at.get(key) == _TOGETHER:
            return "{workspace}" if key == WORKSPACE[0] else ""
        if key == "slug_or_port":
            return "{slug}"
        if key in at:
            return f"{{memo{at[key]}[p{at[key]}]}}"
        return f'"{key}":null,' if self._full else ""

    def _fit(self, keys: tuple[str, ...], names: dict[str, str], at: dict[str, int], parts: list[Part]) -> Fit:
        """The function of a line's runs to the record's segments."""
        key_of = {name: key for key, name in names.items()}
        runs = [part for part in parts if part.key is None]
        form = self._form
        space: dict[str, Any] = {"between": form.between, "Odd": Odd}
        alone = {part for part in runs if len(part.places) == 1 and key_of.get(keys[part.places[0]]) not in _KIND}
        for part in runs:
            for place in part.places:
                key, name = key_of.get(keys[place]), keys[place]
                if part in alone:  # as it stands between its neighbours
                    lead = "" if part is parts[0] else form.lead(name)
                    space[f"memo{place}"] = self._memo(name, key, lead, form.end if part is parts[-1] else "")
                elif key not in _KIND:  # those are looked up together
                    space[f"memo{place}"] = self._memo(name, key)
        kind_names = tuple(names.get(key) for key in _KIND)
        if kind_names not in self._kinds:
            self._kinds[kind_names] = Memo(self._cache, lambda fields: self._kind(kind_names, fields), _characters)
        space["kinds"] = self._kinds[kind_names]
        body = []
        for part in runs:
            if part in alone:
                body.append(f"p{part.places[0]} = {part.name}")
                continue
            if part is parts[-1] and form.end:
                body += [f"if {part.name}[-{len(form.end)}:] != '{form.end}': raise Odd"]
                body += [f"{part.name} = {part.name}[:-{len(form.end)}]"]
            if part is not parts[0]:
                space[f"lead_{part.name}"] = form.lead(keys[part.places[0]])
                body.append(f"{part.name} = lead_{part.name} + {part.name}")
            body += self._apart(part, keys, key_of, space)
        fields = ", ".join(f"p{at[key]}" if key in at else "None" for key in _KIND)
        fresh = {part.key: part.name for part in parts if part.key is not None}
        kind = f"kinds[{fields}, {'given_connection_id' if 'connection_id' in fresh else 'False'}]"
        extra = {name: place for place, name in enumerate(keys) if name not in key_of}
        body += self._give(kind, at, fresh, extra, space)
        fit: Fit = _function("fit", ", ".join([*(part.name for part in runs), *flags_of(fresh)]), body, space)
        return fit

    def _give(
        self, kind: str, at: dict[str, int], fresh: dict[str, str], extra: dict[str, int], space: dict[str, Any]
    ) -> list[str]:
        """Returns a record's segments: ``kind`` looks up what type, method, app and slug give, ``fresh`` are the fields that are
        new in each line, ``extra`` the places of those without a key."""
        body = [f"kind, slug = {kind}"]
        split = _split_keys(fresh)
        if "read" in space:
            at = dict.fromkeys(WORKSPACE, _TOGETHER) | {key: at[key] for key in at if key not in WORKSPACE}
        made = ["".join(self._known(key, at) for key in own[number > 0 :]) for number, own in enumerate(split)]
        for number, own in enumerate(split[1:]):
            body.append(self._around(own[0]))
            made[number] += f"{{before_{own[0]}}}"
            made[number + 1] = f"{{behind_{own[0]}}}{made[number + 1]}"
        inner = ",".join(f"{{memo{place}[p{place}]}}" for place in extra.values())
        made.append(f',"extra":{{{{{inner}}}}}' if extra or self._full else "")
        return [*body, "return " + "".join(f"f'{segment}', " for segment in made)]

    def _apart(self, part: Part, keys: tuple[str, ...], key_of: dict[str, str], space: dict[str, Any]) -> list[str]:
        """Takes a run apart into its fields."""
        names, fields = zip(*[(keys[place], f"p{place}") for place in part.places], strict=True)
        careful = f"{', '.join(fields)}, = {part.name}.split(between, {len(fields)})"
        own, count = [key_of.get(name) for name in names], len(WORKSPACE)
        if not Workspace.begins(own):
            return [careful]
        space["read"] = self._reader(Workspace(self._form, own[:count], names[: count + 1]))
        memos = [f"memo{part.places[at]}[{fields[at]}]" for at in map(own.index, WORKSPACE)]
        return [
            f"workspace, rest = read({part.name})",
            f"if workspace: {', '.join(fields[count:])}, = rest.split(between, {len(fields) - count})",
            "else:",
            f"    {careful}",
            f"    workspace = {self._join(memos)}",
        ]

    def _reader(self, workspace: Workspace) -> Callable[[str], tuple[Any, str]]:
        """What ``read`` is in a function."""
        return workspace.read

    def _join(self, memos: list[str]) -> str:
        """What a workspace's fields give, as ``read`` does, of what each of them does."""
        return "f'" + "".join(f"{{{memo}}}" for memo in memos) + "'"

    def _memo(self, name: str, key: str | None, lead: str = "", end: str = "") -> Memo[str, Any]:
        """Of the fields of a name as they stand, ``lead`` of their lead taken away and ``end`` behind them."""
        known = name, lead, end
        if known not in self._memos:
            self._memos[known] = self._remembering(key or name, lambda field: self._field(name, key, lead + field, end))
        return self._memos[known]

    def _remembering(self, _: str, part: Callable[[str], str]) -> Memo[str, Any]:
        """A memo of what a field gives, by what makes it a part of the record, which has this name there."""
        return TextMemo(self._cache, part)

    def _field(self, name: str, key: str | None, field: str, end: str) -> str:
        """The record's part for one field as it stands; without ``key`` it belongs into ``extra``."""
        if not field.endswith(end):
            raise Odd
        value = self._value(name, field.removesuffix(end))
        if key is None:
            return f"{to_json(name)}:{to_json(None if self._form.human and value == '<nil>' else value)}"
        return self._written(key, self._normaliser.value(key, value))

    def _kind(self, names: tuple[str | None, ...], fields: Kind) -> tuple[Any, ...]:
        """The record's parts for type, method and app together, and for the slug."""
        type_, method, app_or_slug, slug_or_port = (
            None if name is None or field is None else self._value(name, field)
            for name, field in zip(names, fields[:4], strict=True)
        )
        kind, method, app, slug = self._normaliser.kind((type_, method, app_or_slug, slug_or_port), connected=fields[4])
        head = "".join(self._written(key, value) for key, value in (("type", kind), ("method", method), ("app", app)))
        return head, self._written("slug_or_port", slug)

    def _value(self, name: str, field: str) -> JsonValue:
        lead = self._form.lead(name)
        if not field.startswith(lead):
            raise Odd
        return self._form.read(field[len(lead) :])

    def _written(self, key: str, value: JsonValue) -> str:
        return f'"{key}":{to_json(value)},' if self._full or value is not None else ""


def _split_keys(fresh: Container[str]) -> list[list[str]]:
    """The record's own keys before its log; each list but the first begins with a key that is new in each line."""
    split: list[list[str]] = [[]]
    for key in OWN_KEYS:
        if key in NEW_IN_EACH and key in fresh:
            split.append([])
        split[-1].append(key)
    return split


def _function(name: str, arguments: str, body: list[str], space: dict[str, Any]) -> Any:
    """A function of this text, which is made of places and the names of a record's own keys, and of ``space``."""
    exec("\n    ".join([f"def {name}({arguments}):", *body]), space)  # noqa: S102
    return space[name]


def _characters(fields: Kind, made: tuple[Any, ...]) -> int:
    return sum(len(field or "") for field in (*fields[:4], *made))
