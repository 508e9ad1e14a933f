"""Parameters: frozen, typed, checked at the door; profiles are data (``profiles.toml`` of a study).

A study's parameters are one flat pydantic dataclass whose fields are made with :func:`knob`. A knob
has one name everywhere: notebook parameter cell, dataclass field, command-line option, result
column.
"""

import dataclasses
import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from pydantic import ValidationError
from pydantic.dataclasses import dataclass as _dataclass

from gdlib.core.errors import BadSetting, unknown
from gdlib.core.registry import Registry

settings_class = _dataclass(frozen=True, kw_only=True)


LARGEST = 2**31 - 1  # of any number: what random generators take as a seed
MOST_THREADS = 1024  # far more than a machine has, and systems still start as many


def knob(
    default: Any,
    stage: str,
    help: str,
    choices: Iterable[str] | Registry = (),
    least: float = 0,
    most: float = LARGEST,
    some: bool = False,
) -> Any:
    """One parameter of a study.

    Args:
        default: its value in the default profile (``quick``).
        stage: the stage it belongs to; a stage is out of date only if a knob of its own or of a
            stage before it moved.
        help: one line for ``--help`` and for the comment in the notebook's parameters cell.
        choices: the known values, where they are names: the names alone, or a mapping of each to
            a line of help, or a :class:`~gdlib.core.registry.Registry`.
        least, most: the range of a number, or of every number of several.
        some: of a knob that holds several values: one or more, and each once.
    """
    metadata = {"stage": stage, "help": help, "choices": choices, "range": (least, most)}
    metadata["some"] = some
    return dataclasses.field(default=default, metadata=metadata)


def choices_of(meta: Mapping[str, Any]) -> Mapping[str, str]:
    """The known values of a knob with a line of help each, from its metadata; empty: any value."""
    choices = getattr(meta["choices"], "help", meta["choices"])
    return choices if isinstance(choices, Mapping) else dict.fromkeys(choices, "")


def knobs(settings: Any) -> dict[str, Mapping[str, Any]]:
    """The metadata (``stage``, ``help``, ``choices``, ``range``, ``some``) of every knob of a
    settings class or object, by name.
    """
    return {field.name: field.metadata for field in dataclasses.fields(plain(settings))}


def plain(settings: Any) -> Any:
    """The settings themselves, where a study watches which of them are read."""
    return getattr(settings, "plain", settings)


def build(settings_type: type, values: Mapping[str, Any]) -> Any:
    """Settings from plain values; an unknown name or a wrong value is a one-line
    :class:`BadSetting` / ``UnknownName``.

    Args:
        settings_type: a class made with :data:`settings_class`.
        values: name to value; lists become tuples.
    """
    meta = knobs(settings_type)
    for name, value in values.items():
        if name not in meta:
            raise unknown("setting", name, meta)
        choices = choices_of(meta[name])
        for chosen in value if isinstance(value, (list, tuple)) else (value,):
            if choices and not (isinstance(chosen, str) and chosen in choices):
                raise unknown(name, chosen, choices)
    try:
        settings = settings_type(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise BadSetting(f"setting {name} = {first['input']!r:.200}: {first['msg']}") from None
    for name in values:
        value = getattr(settings, name)
        check_range(name, value, *meta[name]["range"])
        if meta[name]["some"] and len(set(value)) < max(1, len(value)):
            raise BadSetting(f"setting {name} = {value!r:.200}: expected one or more, each once")
    return settings


def check_range(name: str, value: Any, least: float, most: float) -> None:
    """Raise :class:`BadSetting` for a number that is none, or out of its range."""
    for each in value if isinstance(value, tuple) else (value,):
        is_number = isinstance(each, (int, float)) and not isinstance(each, bool)
        if is_number and not least <= each <= most:
            raise BadSetting(f"setting {name} = {each}: expected a number from {least} to {most}")


def from_notebook(settings_type: type, names: Mapping[str, Any]) -> Any:
    """Settings from a notebook's variables: every variable that is named like a knob counts, all
    others are ignored.

    So any knob can be given to any notebook by papermill's ``-p``, also one whose default is set in
    another notebook.
    """
    values = {name: names[name] for name in knobs(settings_type) if name in names}
    return build(settings_type, values)


def replace(settings: Any, **changes: Any) -> Any:
    """A copy with some knobs moved, checked again."""
    settings = plain(settings)
    return build(type(settings), {**dataclasses.asdict(settings), **changes})


def jsonable(value: Any) -> Any:
    """Tuples become lists, so that a value equals itself after a round trip through JSON."""
    return json.loads(json.dumps(value))


def digest(value: Any) -> str:
    """The first 16 hex digits of the sha256 of a JSON-able value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def whole_number(variable: str, given: str, expected: str, least: int, most: int) -> int:
    """What an environment variable holds, as a number.

    Raises:
        BadSetting: no whole number in its range; ``expected`` says which one is.
    """
    if not (given.isdecimal() and len(given) < 9 and least <= int(given) <= most):
        raise BadSetting(f'{variable} is "{given:.40}"; expected {expected}')
    return int(given)


def thread_count() -> int:
    """Threads that a stage computes with: ``GDLIB_THREADS``, else the physical cores.

    Another number, other last bits.
    """
    if given := os.environ.get("GDLIB_THREADS"):
        expected = f"a number of threads from 1 to {MOST_THREADS}"
        return whole_number("GDLIB_THREADS", given, expected, 1, MOST_THREADS)
    import psutil

    get_allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    allowed = len(get_allowed(0))
    return min(psutil.cpu_count(logical=False) or allowed, allowed)


@cache
def _profiles(study: str) -> dict[str, dict[str, Any]]:
    file = resources.files(f"gdlib.studies.{study}") / "profiles.toml"
    if not file.is_file():
        return {"quick": {"help": "the default"}}
    return tomllib.loads(file.read_text("utf-8"))


def profiles(study: str) -> dict[str, dict[str, Any]]:
    """Every profile of a study as it stands in the ``profiles.toml`` of its package: name to
    ``{"help": ..., knob: value, ...}``; of a study without that file ``quick``, its defaults.
    """
    return _profiles(study)


def profile(study: str, name: str) -> dict[str, Any]:
    """The knobs (without the help line) that a profile moves away from the defaults."""
    known = profiles(study)
    if name not in known:
        raise unknown("profile", name, known)
    return {key: value for key, value in known[name].items() if key != "help"}


def parse(settings_type: type, assignments: Iterable[str]) -> dict[str, Any]:
    """Overrides from the command line: ``["seed=3", "students=KimCNN,ResCNN"]`` to name and typed
    value.

    A value is read as a TOML literal where it is one (numbers, true, [1, 2]), else as text; a knob
    that holds a tuple takes a comma-separated list too.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise BadSetting(f'"{assignment}" is no assignment; expected NAME=VALUE, e.g. seed=3')
        values[name] = _literal(text)
        holds_several = isinstance(getattr(settings_type, name, None), tuple)
        if holds_several and not isinstance(values[name], list):
            values[name] = [_literal(part) for part in text.split(",") if part]
    return values


def _literal(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # no TOML, or thousands of digits or of brackets
        return text
