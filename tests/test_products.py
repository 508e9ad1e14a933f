"""Products: all of a stage or nothing, timings apart, the same bytes for the same products."""

import json
import re
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from gdlib.charts.style import use_style
from gdlib.core.products import Products, read_index, styled
from gdlib.core.scope import KNOB, VALUE, Scope, Undeclared
from gdlib.core.store import Store

RECIPE = {"study": "generation", "stage": "corpus", "settings": {"seed": 0}}


@pytest.fixture
def store(tmp_path):
    with plt.rc_context():
        use_style()  # as every notebook does; it also fixes the ids within an SVG
        yield Store(tmp_path / "store")


def figure():
    fig, ax = plt.subplots()
    ax.plot([0, 1, 2], [1, 3, 2])
    return fig


def filled(store, seconds=1.0):
    out = Products(store, RECIPE)
    out.figure("curve", figure(), "A curve.")
    out.timed_figure("speed", figure(), "A speed.")
    out.table(
        "texts", pd.DataFrame({"text": ["<b>é</b>", None], "n": [1, 2]}, index=[5, 6]), "Texts."
    )
    out.aside("rows", pd.DataFrame({"vector": [b"\x00\x3c"]}))
    out.number("accuracy", 0.79, "share")
    out.timing("labelling", seconds, "s")
    out.note("Nothing is **resolved**.")
    return out


def files(artifact, but=()):
    return {
        path.name: path.read_bytes() for path in artifact.path.iterdir() if path.name not in but
    }


def test_everything_is_kept_with_timings_apart(store):
    artifact = filled(store, 2.5).write()
    index, timings = read_index(artifact), artifact.json("timings.json")
    assert index == {
        "figures": {"curve": "A curve."}, "words": {"curve": ""}, "tables": {"texts": "Texts."},
        "numbers": {"accuracy": {"value": 0.79, "unit": "share"}},
        "notes": ["Nothing is **resolved**."], "abstract": "",
    }  # fmt: skip
    assert timings == {
        "numbers": {"labelling": {"value": 2.5, "unit": "s"}},
        "figures": {"speed": "A speed."},
        "words": {"speed": ""},
    }
    table = pd.read_parquet(artifact / "texts.parquet")
    assert table.index.tolist() == [0, 1] and table["n"].tolist() == [1, 2]
    assert pd.read_parquet(artifact / "rows.parquet")["vector"].tolist() == [b"\x00\x3c"]
    assert json.loads((artifact / "texts.json").read_text("utf-8")) == [
        {"text": "<b>é</b>", "n": 1},
        {"text": None, "n": 2},
    ]
    assert (artifact / "curve.svg").read_bytes().startswith(b"<?xml") and (
        artifact / "curve.png"
    ).read_bytes().startswith(b"\x89PNG")


def test_made_again_it_is_the_same_but_for_its_timings(store):
    apart = ("timings.json", "artifact.json")
    first = filled(store, 1.0).write()
    before, recorded = files(first, apart), first.json("artifact.json")["files"]
    second = filled(store, 9.0).write()
    assert second.path == first.path and files(second, apart) == before
    changed = {
        name for name, sha in second.json("artifact.json")["files"].items() if recorded[name] != sha
    }
    assert changed == {"timings.json"}


def test_closing_replaces_what_the_recipe_left_before(store):
    filled(store).close()
    out = Products(store, RECIPE)
    out.number("accuracy", 0.8)
    artifact = out.write()
    assert read_index(artifact)["figures"] == {} and not (artifact / "curve.svg").exists()
    assert read_index(artifact)["numbers"] == {"accuracy": {"value": 0.8, "unit": ""}}


def test_a_notebook_that_fails_before_closing_leaves_nothing(store):
    filled(store)
    assert store.find("products", RECIPE) is None and not store.root.exists()


def test_names_of_columns_and_captions_are_escaped(store, monkeypatch):
    shown = []
    monkeypatch.setattr("gdlib.core.products.display", lambda *things: shown.extend(things))
    bad = "<script>alert(1)</script>"
    products = Products(store, RECIPE)
    products.table("counts", pd.DataFrame({bad: [1], "texts": [2]}), f"Texts of {bad}.")
    products.figure("curve", plt.figure(), f"A curve of {bad}.")
    caption, table, figure, other = shown
    for text in (caption.data, table.to_html(), other.data):
        assert "<script>" not in text and "&lt;script&gt;" in text


def test_what_is_shown_is_escaped(store, monkeypatch):
    shown = []
    monkeypatch.setattr("gdlib.core.products.display", lambda *things: shown.extend(things))
    filled(store)
    [table] = [thing for thing in shown if hasattr(thing, "to_html")]
    assert "&lt;b&gt;" in table.to_html() and "<b>" not in table.to_html()
    assert not plt.get_fignums()  # closed, or a notebook shows them twice


def test_a_table_has_numbers_as_in_the_report_and_texts_to_the_left():
    table = pd.DataFrame({"text": ["a"], "count": [6400], "share": [float("nan")]})
    page = styled(table).to_html()
    assert "6,400" in page and "–" in page and page.count("text-align: left") == 1
    assert re.search(r"\.col0 *{\s*text-align: left", page)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_a_figure_is_a_sound_svg_whatever_a_class_is_called(store, monkeypatch):
    monkeypatch.setattr("gdlib.core.products.display", lambda *_: None)
    drawn = figure()
    drawn.suptitle("red \x1b[31m \x00 \ufffe <script>x</script> --> $\\frac{$")
    out = Products(store, {"stage": "corpus"})
    out.figure("classes", drawn, "")
    tree = ElementTree.parse(out.write() / "classes.svg")
    tags = {each.tag.rpartition("}")[2] for each in tree.iter()}
    assert "path" in tags and "script" not in tags


@pytest.mark.parametrize("sources", [None, {(KNOB, "students")}], ids=["itself", "through a value"])
def test_a_stage_that_reads_a_knob_that_does_not_decide_it_leaves_nothing(store, sources):
    scope = Scope()
    scope.read(KNOB, "seed")
    assert Products(store, RECIPE, scope).write()
    scope.read(*((VALUE, "arms", sources) if sources else (KNOB, "students")))
    out = Products(store, RECIPE | {"stage": "teacher"}, scope)
    with pytest.raises(Undeclared, match="^the stage teacher reads students, which neither it nor"):
        out.close()
    assert store.find("products", out.recipe) is None
