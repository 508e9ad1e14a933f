"""Registries: names with help, objects imported when looked up, additions from outside."""

import subprocess
import sys

import pytest

from gdlib.core.errors import GdlibError, UnknownName, unknown
from gdlib.core.registry import Registry, load_plugins
from gdlib.core.settings import build, choices_of, knob, knobs, settings_class
from gdlib.run.studies import plan_of

FLOWERS = Registry("flower")
FLOWERS.add("rose", object(), "thorny")
FLOWERS.add("decoder", "json:JSONDecoder", "from a module")


@settings_class
class Settings:
    flower: str = knob("rose", "corpus", "which one", FLOWERS)
    flowers: tuple[str, ...] = knob(("rose",), "corpus", "which ones", FLOWERS)


def test_a_name_stands_for_its_object_which_is_imported_when_looked_up() -> None:
    import json

    assert FLOWERS["decoder"] is json.JSONDecoder
    assert list(FLOWERS) == ["rose", "decoder"] and dict(FLOWERS.help)["rose"] == "thorny"
    with pytest.raises(UnknownName, match='^unknown flower "tulip"; known: rose, decoder$'):
        FLOWERS["tulip"]


def test_a_knob_s_choices_are_those_of_its_registry_also_what_is_added_later() -> None:
    with pytest.raises(UnknownName, match='^unknown flower "daisy"; known: rose, decoder$'):
        build(Settings, {"flower": "daisy"})
    FLOWERS.add("daisy", "os:getcwd", "added")
    try:
        assert build(Settings, {"flower": "daisy", "flowers": ["daisy", "rose"]}).flower == "daisy"
        assert choices_of(knobs(Settings)["flower"])["daisy"] == "added"
    finally:
        del FLOWERS._targets["daisy"], FLOWERS._help["daisy"]


def test_plugins_are_imported_once_by_whoever_looks_a_name_up(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "from base import FLOWERS\nprint('imported')\nFLOWERS.add('mine', 'os:sep', 'my own')\n"
    )
    (tmp_path / "base.py").write_text(
        "from gdlib.core.registry import Registry\nFLOWERS = Registry('flower')\n"
    )
    code = "from base import FLOWERS; print('mine' in FLOWERS, FLOWERS['mine'], len(FLOWERS))"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"GDLIB_PLUGINS": "mine", "PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.split() == ["imported", "True", "/", "1"]


def test_a_plugin_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDLIB_PLUGINS", "os, no_such_plugin")
    load_plugins.cache_clear()
    message = (
        "^GDLIB_PLUGINS names \"no_such_plugin\": No module named 'no_such_plugin'; is its fold"
    )
    with pytest.raises(GdlibError, match=message):
        load_plugins()


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("kimcnn", "KimCNN"),
        ("KimCN", "KimCNN"),
        ("hard label", "hard labels"),
        ("tulip", None),
        ("", None),
        (10**30, None),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_and_all(given, nearest) -> None:
    meant = f'did you mean "{nearest}"? ' if nearest else ""
    error = unknown("name", given, iter(["KimCNN", "kim", "hard labels"]), "or a folder")
    known = "known: KimCNN, kim, hard labels (or a folder)"
    assert str(error) == f'unknown name "{given}"; {meant}{known}'


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"studnets": "KimCNN"}, 'unknown setting "studnets"; did you mean "students"? known: '),
        ({"students": ["KimCMM"]}, 'unknown students "KimCMM"; did you mean "KimCNN"? known: '),
        ({"arms": ["hardlabels"]}, 'unknown arms "hardlabels"; did you mean "hard labels"? known'),
        ({"embedding": "output"}, 'unknown embedding "output"; did you mean "outputs"? known: '),
    ],
)
def test_so_are_knobs_and_their_values(values, start) -> None:
    with pytest.raises(UnknownName) as error:
        build(plan_of("generation").settings, values)
    assert str(error.value).startswith(start) and "\n" not in str(error.value)
