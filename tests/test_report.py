"""The report: byte-identical, self-contained, escaped, honest about what is missing, written whole
or not at all.
"""

import json
import re
from contextlib import closing

import nbformat
import numpy as np
import pandas as pd
import pytest

from gdlib.core import settings as config
from gdlib.core.errors import GdlibError
from gdlib.core.plans import Plan, Stage, expand
from gdlib.core.products import Products
from gdlib.core.settings import knob, settings_class
from gdlib.core.store import Store
from gdlib.run import page, provenance, publishing, report
from gdlib.run.executed import as_markdown
from gdlib.studies.shared.figures import confusion

EVIL = "<script>alert('x')</script> | [a](javascript:b) *c* <img src=http://example.org/x.png>"


@settings_class
class Settings:
    """As few knobs as a sweep needs."""

    corpus: str = knob("wordnet", "data", "where the texts come from")
    labels_per_class: int = knob(100, "data", "gold labels per class")
    seed: int = knob(0, "data", "seed of the split")
    teacher: str = knob("minilm-l6", "train", "who labels")
    temperature: float = knob(1.0, "train", "of the distillation")
    corpora: tuple[str, ...] = knob((), "compare", "sweep: corpora")
    seeds: tuple[int, ...] = knob((0,), "compare", "sweep: seeds")
    labels_sweep: tuple[int, ...] = knob((), "compare", "sweep: labels")


STAGES = (
    Stage("data", "1.ipynb", (), "run", "Look at the data."),
    Stage("train", "2.ipynb", ("data",), "run", "Train."),
    Stage("compare", "3.ipynb", ("train",), "corpus", "Compare the arms."),
)
PLAN = Plan("made", "A made study", Settings, STAGES, "Nothing of it is true.")
COMMAND = "gdlib run made --profile tiny"


@pytest.fixture(autouse=True)
def tiny_profile(monkeypatch):
    profiles = {"tiny": {"help": "for tests", "seeds": [0, 1], "temperature": 2.0}}
    monkeypatch.setattr(config, "_profiles", lambda study: profiles)


@pytest.fixture
def tasks():
    return expand(
        PLAN, config.build(Settings, {"seeds": [0, 1], "temperature": 2.0, "teacher": "mpnet-base"})
    )


def fill(store: Store, tasks: list, seconds: float = 1.0) -> Store:
    """Products as three notebooks would leave them."""
    for task in tasks:
        with closing(Products(store, task.products_recipe)) as out:
            out.number(f"{task.stage.name} accuracy", 0.7 + task.settings.seed / 100, "share")
            out.timing("training", seconds)
            if task.stage.name == "data":
                rows = {
                    "text": [EVIL, "plain"] * 30,
                    "share": [0.25, np.nan] * 30,
                    "many": [[0.5, 0.5], [1.0, 0.0]] * 30,
                }
                out.table("gallery", pd.DataFrame(rows), f"Samples, such as {EVIL}")
                out.note(f"Read **this**: {EVIL}")
            if task.stage.name == "compare":
                out.number("soft minus hard", "+0.3 [-0.4, 1.1] points (not resolved)")
                out.figure("right", confusion([[8, 2], [1, 9]], ["a", "b"]), "What was right.")
    return store


@pytest.fixture
def store(tmp_path, tasks):
    return fill(Store(tmp_path / "store"), tasks)


def write(tasks, store, folder):
    return report.write(PLAN, tasks, store, folder, profile="tiny", command=COMMAND)


def contents(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_run_elsewhere_and_later_gives_the_same_bytes_timings_apart(
    tmp_path, tasks, store
):
    write(tasks, store, tmp_path / "one")
    write(tasks, fill(Store(tmp_path / "other store"), tasks, seconds=7.5), tmp_path / "other")
    one, other = contents(tmp_path / "one"), contents(tmp_path / "other")
    assert one.keys() == other.keys()
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"timings.html", "timings.json", "timings.md"}
    assert "7.5" in other["timings.md"].decode()
    assert json.loads(other["timings.json"])["timings"]["wordnet/compare"]["training"] == {
        "value": 7.5,
        "unit": "s",
    }


def test_html_needs_nothing_from_outside_and_runs_nothing(tmp_path, tasks, store):
    html = write(tasks, store, tmp_path / "out").read_text("utf-8")
    assert "<script" not in html
    assert re.findall(r'src="(?!data:image/svg\+xml;base64,)[^"]*"', html) == []
    assert set(re.findall(r'href="([^#"][^"]*)"', html)) == {"timings.html"}
    assert set(re.findall(r'href="#([^"]*)"', html)) == set(re.findall(r' id="([^"]*)"', html))
    assert '<img alt="85.0 % of the labels are right; % of each gold class. Matrix, ' in html
    assert 'of its bold cells: a 80.0; b 90.0." src=' in html
    assert "url(" not in html
    assert "@import" not in html
    assert 'name="viewport"' in html
    assert "@media print" in html


def test_texts_of_data_are_shown_and_never_interpreted(tmp_path, tasks, store):
    html = write(tasks, store, tmp_path / "out").read_text("utf-8")
    assert "&lt;script&gt;alert('x')&lt;/script&gt; | [a](javascript:b) *c*" in html  # a cell
    assert not re.search(r'<script|<img(?! alt="[^"<>]*" src="data:image/svg.xml;base64,)', html)
    assert 'href="javascript' not in html
    assert "<strong>this</strong>" in html  # a note is Markdown
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "<script" not in text
    assert "<img" not in text
    row = next(line for line in text.splitlines() if line.startswith("| &lt;script"))
    assert r"\| \[a\](javascript:b) \*c\*" in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 4  # three cells, however many bars the text has


def test_what_was_found_stands_first_then_the_first_run_then_all_in_numbers(tmp_path, tasks, store):
    text = write(tasks, store, tmp_path / "out").with_name("report.md").read_text("utf-8")
    heads = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert heads == [
        "What was found", "wordnet", "wordnet, 100 labels per class, seed 0", "data",
        "train", "All runs in numbers",
        "How it was made", "Parameters", "Networks and corpora: sources and licences", "Versions",
    ]  # fmt: skip
    assert text.index("+0.3 \\[-0.4, 1.1\\] points (not resolved)") < text.index("### wordnet")
    assert "| wordnet, 100 labels per class, seed 1 | 71.0% |" in text


def test_every_figure_and_table_that_the_markdown_names_is_there(tmp_path, tasks, store):
    folder = write(tasks, store, tmp_path / "out").parent
    named = re.findall(r"\]\((figures/[^)]*)\)", (folder / "report.md").read_text("utf-8"))
    assert named == ["figures/wordnet-compare-right.svg"]
    assert (folder / "figures/wordnet-compare-right.svg").is_file()
    assert (folder / "figures/wordnet-compare-right.png").read_bytes()[:4] == b"\x89PNG"
    assert "The first 40 of 60 rows; all are in tables/wordnet-l100-s0-data-gallery.parquet." in (
        folder / "report.md"
    ).read_text("utf-8")
    assert len(pd.read_parquet(folder / "tables/wordnet-l100-s0-data-gallery.parquet")) == 60


def test_results_hold_every_number_and_parameter_of_every_run(tmp_path, tasks, store):
    results = json.loads(
        (write(tasks, store, tmp_path / "out").with_name("results.json")).read_text("utf-8")
    )
    assert results["command"] == COMMAND
    assert results["numbers"]["wordnet-l100-s1/train"]["train accuracy"] == {
        "value": 0.71,
        "unit": "share",
    }
    assert set(results["numbers"]) == {task.name for task in tasks}


def test_parameters_say_who_set_them(tasks):
    rows = {
        row["parameter"]: (row["value"], row["set by"])
        for row in provenance.parameters(PLAN, tasks, "tiny")
    }
    assert rows["corpus"] == ("wordnet", "default")
    assert rows["seed"] == ([0, 1], "profile")
    assert rows["temperature"] == (2.0, "profile")
    assert rows["teacher"] == ("mpnet-base", "override")
    assert set(rows) == set(config.knobs(Settings))


def test_the_report_shows_parameters_unrounded(tmp_path, tasks, store):
    text = write(tasks, store, tmp_path / "out").with_name("report.md").read_text("utf-8")
    assert "| temperature | 2.0 | profile | train | of the distillation |" in text
    assert r"| seed | \[0, 1\] | profile |" in text


def test_an_image_of_data_is_not_loaded(tmp_path):
    """Only a figure that lies beside the report is put inside; of others the words are shown."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "own.svg").write_text("<svg/>")
    (tmp_path / "secret.svg").write_text("<svg/>")
    (tmp_path / "report.md").write_text(
        "# A *made* report\n\n![own <b>](figures/own.svg) ![far](http://example.org/figures/own.svg)\n"
        "![up](figures/../secret.svg) ![gone](figures/gone.svg)\n"
    )
    html = page.render_folder(tmp_path).read_text("utf-8")
    assert html.count("<img") == 1
    assert '<img alt="own &lt;b&gt;" src="data:image/svg+xml;base64,PHN2Zy8+"> far\nup gone' in html
    assert "<title>A made report</title>" in html


def test_licences_of_what_was_used_and_of_nothing_else(tmp_path):
    some = expand(
        PLAN, config.build(Settings, {"corpora": ["wordnet", str(tmp_path), "hub:own/data"]})
    )
    found = {row["name"]: row for row in provenance.licences(some).to_dict("records")}
    assert set(found) == {"wordnet", "minilm-l6", str(tmp_path), "hub:own/data"}
    assert found["minilm-l6"]["licence"] == "Apache-2.0"
    assert found["hub:own/data"] == {
        "name": "hub:own/data",
        "licence": "as its owner states",
        "source": "hub",
    }


def test_a_folder_of_other_things_is_left_alone(tmp_path, tasks, store):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(
        GdlibError, match="holds something that is no report; give an empty or a new folder"
    ):
        write(tasks, store, tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.tex": b"years of work"}


def test_a_failure_on_the_way_leaves_the_earlier_report_whole(tmp_path, tasks, store, monkeypatch):
    write(tasks, store, tmp_path / "out")
    before = contents(tmp_path / "out")
    monkeypatch.setattr(report, "_write_timings", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tasks, store, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]


def test_a_new_report_replaces_the_earlier_one_whole(tmp_path, tasks, store):
    folder = write(tasks, store, tmp_path / "out").parent
    (folder / "figures" / "of-an-earlier-run.svg").write_text("old")
    write(tasks, store, folder)
    assert not (folder / "figures" / "of-an-earlier-run.svg").exists()


def test_publish_copies_what_the_pages_are_rendered_from_and_refuses_what_is_no_report(
    tmp_path, tasks, store
):
    folder = write(tasks, store, tmp_path / "out").parent
    (folder / "scratch.txt").write_text("mine")
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "a.md").write_text("[b](../../notebooks/b.ipynb) [c](../d/c.md)")
    published = publishing.publish(folder, tmp_path / "reports" / "quick", tmp_path)
    left_out = set(contents(folder)) - set(contents(published))
    assert left_out == {
        "scratch.txt",
        "report.html",
        "timings.html",
        "figures/wordnet-compare-right.png",
    }
    told = (published / "notebooks" / "a.md").read_text()
    assert told == "[b](../../../notebooks/b.ipynb) [c](../d/c.md)"
    page.render_folder(published)
    assert (published / "report.html").read_bytes() == (folder / "report.html").read_bytes()
    assert (published / "timings.html").read_bytes() == (folder / "timings.html").read_bytes()
    with pytest.raises(GdlibError, match="no report in .*; expected a folder with a report.md"):
        page.render_folder(tmp_path / "store")


def test_what_is_ours_is_listed(tmp_path, tasks, store):
    object.__setattr__(
        plan := Plan(
            *(getattr(PLAN, name) for name in ("name", "title", "settings", "stages", "help"))
        ),
        "ours",
        ("The *filter*.",),
    )
    html = report.write(
        plan, tasks, store, tmp_path / "out", profile="tiny", command=COMMAND
    ).read_text("utf-8")
    assert (
        "What is ours and not the paper&#39;s" in html or "What is ours and not the paper's" in html
    )
    assert "<li>The <em>filter</em>.</li>" in html


def test_long_tables_are_folded_and_headers_are_of_columns(tmp_path):
    def rendered(rows: int) -> str:
        lines = ["# A", "## B", "### C", "| a | b |", "| --- | --- |", *["| 1 | 2 |"] * rows]
        return page.render("\n".join(lines), tmp_path)

    short, long = rendered(page.ROWS), rendered(page.ROWS + 1)
    assert short.count('<th scope="col">') == 2 and "<thead>" in short and "<summary>" not in short
    assert f"<details><summary>Show all {page.ROWS + 1} rows</summary>" in long
    assert '<li class="h2"><a href="#section-1">B</a></li>' in short
    assert '<li class="h3"><a href="#section-2">C</a></li>' in short
    assert '<h3 id="section-2">' in short
    row = "|".join(["", *["1"] * (page.WIDE + 1), ""])
    wide = page.render("\n".join(["# A", "## B", row, row.replace("1", "---"), row]), tmp_path)
    assert '<div class="scroll wide" ' in wide and '<div class="scroll" ' in short


NO_REPORT = {"figures": [], "tables": []}


def test_an_executed_notebook_is_read_as_markdown_and_its_outputs_as_text():
    display = nbformat.v4.new_output
    styled = "<table><tr><th>n</th></tr><tr><td id='a'>&lt;b&gt;</td></tr></table>"
    png = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 1x1>"}
    outputs = [
        display("stream", name="stdout", text="a ``` fence\n"),
        display("stream", name="stderr", text="50%|#####"),
        display("display_data", data=png),
        display("display_data", data={"text/markdown": "*Loss &lt;b&gt;.*"}),
        display("display_data", data={"text/markdown": "*Numbers.*"}),
        display("display_data", data={"text/html": styled, "text/plain": "<pandas.Styler>"}),
        display("display_data", data={"text/markdown": "**So** <script>"}),
    ]
    code = nbformat.v4.new_code_cell("out.close()", outputs=outputs)
    code.metadata.tags = ["solution"]
    prose = nbformat.v4.new_markdown_cell("See [here](2_b.ipynb#x), [there](../../docs/c.md).")
    notebook = nbformat.v4.new_notebook(cells=[prose, code])
    section = {
        "figures": [{"caption": "Loss <b>.", "words": "Falls <b> [1].", "file": "loss.svg"}],
        "tables": [{"caption": "Numbers.", "rows": "| a |\n"}],
    }
    place = "notebooks/1_a/1_b.ipynb", "reports/quick/notebooks/b.md"
    text, images = as_markdown(notebook, section, *place)
    back = "../../../notebooks/1_a"
    for part in (
        f"[notebooks/1_a/1_b.ipynb]({back}/1_b.ipynb)",
        f"[here]({back}/2_b.ipynb#x), [there](../../../docs/c.md)",
        "<details><summary>Solution</summary>\n\n```python\nout.close()\n```",
        "````\na ``` fence\n````",
        "![Falls &lt;b&gt; \\[1\\].](../figures/loss.svg)\n\n*Loss &lt;b&gt;.*",
        "| a |\n\n\n*Numbers.*",
        "**So** &lt;script>",
    ):
        assert part in text, part
    assert images == {} and "<table" not in text and "50%" not in text and "pandas" not in text
    code.outputs[2].data = {"image/svg+xml": "<svg/>"}
    alone = as_markdown(notebook, NO_REPORT, *place)
    assert "| n |\n| --- |\n| &lt;b&gt; |\n" in alone[0]
    assert alone[1] == {"b-1.svg": "<svg/>"} and "![a figure of this notebook](b-1.svg)" in alone[0]
    code.outputs[2].data["text/plain"] = "Falls <b> [1]."
    assert "![Falls &lt;b&gt; \\[1\\].](b-1.svg)" in as_markdown(notebook, NO_REPORT, *place)[0]
