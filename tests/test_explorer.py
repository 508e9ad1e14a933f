"""The explorer: filters against a slow reference, escaping, marks that survive a kill, overlap,
widgets, static page.
"""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook
from sklearn.neighbors import NearestNeighbors

import gdlib
from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.explorer import explorer
from gdlib.explorer.explorer import Explorer
from gdlib.explorer.filters import Filters
from gdlib.explorer.html import looks, overlap, picture
from gdlib.explorer.marks import load_marks, no_marks, save_marks
from gdlib.explorer.measures import grid, neighbours
from gdlib.explorer.tools import Quiz
from gdlib.explorer.view import SampleView
from gdlib.run import studies

BROWSER = Path(__file__).parent / "browser"
sys.path.insert(0, str(BROWSER))
import made  # noqa: E402

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "explore_samples.ipynb"
LABELS = ("cat", "dog", "owl")


def marks_of(size: int, verdicts: dict[int, str], notes: dict[int, str] | None = None):
    """A table of marks."""
    marks = no_marks(size)
    for column, values in (("mark", verdicts), ("note", notes or {})):
        marks.loc[list(values), column] = list(values.values())
    return marks


def verdicts(marks: pd.DataFrame) -> dict[int, str]:
    return marks.loc[marks["mark"] != "", "mark"].to_dict()


def table(rows: list[tuple[str, str, list[float] | None]]) -> pd.DataFrame:
    """A samples table from (text, fate, logits or None)."""
    logits = np.array([row[2] or [np.nan] * 3 for row in rows], dtype=np.float32).reshape(-1, 3)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return pd.DataFrame(
        {
            "text": pd.Series([row[0] for row in rows], dtype=object),
            "fate": pd.Series([row[1] for row in rows], dtype=object),
            "teacher_logits": list(logits),
            "teacher_label": [-1 if row[2] is None else int(np.argmax(row[2])) for row in rows],
            "confidence": [float(share.max()) for share in shares],
            "entropy": [float(-(share * np.log(share)).sum()) for share in shares],
        }
    )


# ---- filters

texts = st.text(alphabet="aAbB ßİé\"'<&", max_size=12)
logits = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=3, max_size=3)
rows = st.tuples(texts, st.sampled_from(["kept", "empty", "in test set"]), st.none() | logits)
span = st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)).map(
    lambda ends: (min(ends), max(ends))
)


@st.composite
def cases(draw):
    given_rows = draw(st.lists(rows, max_size=12))
    student = draw(st.none() | st.lists(logits, min_size=len(given_rows), max_size=len(given_rows)))
    logits_of_student = None if student is None else np.array(student).reshape(-1, 3)
    view = SampleView(table(given_rows), LABELS, logits_of_student)
    chosen, noted = {}, {}
    if given_rows:
        numbers = st.integers(0, len(given_rows) - 1)
        chosen = draw(st.dictionaries(numbers, st.sampled_from(["keep", "drop"]), max_size=4))
        noted = draw(st.dictionaries(numbers, st.just("odd"), max_size=3))
    marks = marks_of(len(given_rows), chosen, noted)
    filters = Filters(
        search=draw(st.sampled_from(["", "a", "A b", '"a b"', "ß", "<", "zz", "İ"])),
        fate=draw(st.sampled_from(["", "kept", "empty"])),
        label=draw(st.sampled_from(["", *LABELS])),
        confidence=draw(span),
        entropy=draw(span),
        student=draw(st.sampled_from(["", "agrees", "differs"])),
        mark=draw(st.sampled_from(["", "keep", "drop", "note", "unmarked"])),
        sort=draw(st.sampled_from(sorted(view.sorts))),
        descending=draw(st.booleans()),
    )
    return view, given_rows, student, marks, filters


def slowly(
    view: SampleView, given_rows: list, student: list | None, marks: pd.DataFrame, filters: Filters
) -> list[int]:
    """The same answer, one text after the other, in plain Python."""
    phrases = ["a b"] if filters.search == '"a b"' else filters.search.lower().split()
    passed = []
    for row, (text, fate, teacher) in enumerate(given_rows):
        label = -1 if teacher is None else teacher.index(max(teacher))
        guess = None if student is None else student[row].index(max(student[row]))
        against = None if label < 0 or guess is None else "agrees" if guess == label else "differs"
        verdict, noted = marks["mark"][row], marks["note"][row] != ""
        kinds = (
            {verdict}
            | ({"note"} if noted else set())
            | ({"unmarked"} if not verdict and not noted else set())
        )
        passes = all(phrase in text.lower() for phrase in phrases)
        name = None if label < 0 else LABELS[label]
        passes = passes and filters.fate in ("", fate) and filters.label in ("", name)
        for limits, value in (
            (filters.confidence, view.frame.confidence[row]),
            (filters.entropy, view.frame.entropy[row]),
        ):
            passes = passes and (limits is None or limits[0] <= value <= limits[1])
        if (
            passes
            and filters.student in ("", against)
            and (not filters.mark or filters.mark in kinds)
        ):
            passed.append(row)
    key = view.frame[view.sorts[filters.sort]]
    known = [row for row in passed if not math.isnan(key[row])]
    return sorted(known, key=lambda row: -key[row] if filters.descending else key[row]) + [
        r for r in passed if r not in known
    ]


@settings(max_examples=300, deadline=None)
@given(cases())
def test_filters_and_order_are_those_of_a_slow_reference(case):
    view, given_rows, student, marks, filters = case
    assert view.select(filters, marks).tolist() == slowly(view, given_rows, student, marks, filters)


def test_measures_of_teacher_and_student():
    view = SampleView(
        table([("a", "kept", [0.0, 0.0, 0.0]), ("b", "empty", None)]),
        LABELS,
        np.array([[9e3, 0, 0], [0, 1, 0]]),
    )
    teacher, student = view.probabilities["teacher"], view.probabilities["student"]
    np.testing.assert_allclose(teacher[0], 1 / 3)
    assert np.isnan(teacher[1]).all()
    assert student[0].tolist() == [1.0, 0.0, 0.0], "no overflow"
    distance = view.frame[view.sorts["distance of student from teacher"]]
    assert distance[0] == pytest.approx(2 / 3) and math.isnan(distance[1])
    assert view.agreement.tolist() == ["agrees", None]


def test_counts_of_fates_and_labels():
    samples = table([("a", "empty", None), ("b", "kept", [1, 0, 0]), ("c", "kept", [0, 1, 0])])
    view = SampleView(samples, LABELS)
    assert list(view.counts("fate").items()) == [("kept", 2), ("empty", 1)]
    assert view.counts("fate", np.array([1])) == {"kept": 1, "empty": 0}
    assert view.counts("label", np.array([0, 2])) == {"cat": 0, "dog": 1, "owl": 0}
    assert view.counts("student") == {"agrees": 0, "differs": 0}


def test_bad_tables_are_refused_in_one_line():
    good = table([("a", "kept", [1, 0, 0])])
    for samples, labels, student, problem in (
        (good[["text"]], LABELS, None, "samples table without fate, teacher_logits, "),
        (
            good,
            LABELS[:2],
            None,
            r"teacher_logits of shape \(1, 3\); expected \(1, 2\): one row per ",
        ),
        (good, LABELS, np.zeros((2, 3)), r"student_logits of shape \(2, 3\); expected \(1, 3\)"),
    ):
        with pytest.raises(BadSetting, match=problem):
            SampleView(samples, labels, student)


def test_twenty_thousand_texts_are_filtered_within_a_tenth_of_a_second():
    samples, vectors, student = made.samples(20_000)
    shown = Explorer(samples, made.LABELS, vectors=vectors, student_logits=student)
    seconds = []  # of the processor: other work on the machine does not count
    for search in ("minister", "late winner", "the"):
        start = time.process_time()
        shown.ui.filters["search"].value = search
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1, seconds


def test_what_a_student_is_trained_on():
    given_rows = [
        ("a", "kept", [1, 0, 0]),
        ("b", "kept", [1, 0, 0]),
        ("c", "duplicate", [1, 0, 0]),
        ("d", "empty", None),
    ]
    view = SampleView(table([*given_rows, ("e", "in test set", [1, 0, 0])]), LABELS)
    # 3 has no teacher and 4 is test text: never to be learnt from.
    marks = marks_of(5, {1: "drop", 2: "keep", 3: "keep", 4: "keep"})
    assert view.selection(no_marks(5), "marks") == view.unselected == [0, 1]
    assert view.selection(marks, "marks") == [0, 2]
    assert view.selection(marks, "keep") == [2]
    assert view.selection(marks, "shown", np.array([4, 1, 0])) == [0, 1]


def test_examples_are_best_typical_and_worst_by_confidence():
    samples = table([("t", "kept", [k / 5, 0, 0]) for k in range(1, 22)] + [("x", "empty", None)])
    examples = SampleView(samples, LABELS).examples(2)
    assert examples == {"best": [20, 19], "typical": [11, 10], "worst": [0, 1]}
    none = SampleView(table([]), LABELS).examples()
    assert none == {"best": [], "typical": [], "worst": []}


# ---- nearest labelled text and overlap


def test_the_nearest_text_of_each_source_is_that_of_scikit_learn():
    samples, vectors, student = made.samples(60)
    view = SampleView(samples, made.LABELS, student, vectors)
    for row in (1, 2, 70, 120):
        found = neighbours(view, row)
        assert list(found) == ["generated", "labelled", "real"]
        for source, (other, cosine) in found.items():
            rows = [k for k in np.flatnonzero(samples["source"] == source) if k != row]
            near = NearestNeighbors(n_neighbors=1, metric="cosine").fit(vectors[rows])
            distance, place = near.kneighbors(vectors[[row]])
            assert other == rows[place[0, 0]] and cosine == pytest.approx(1 - distance[0, 0])
    vectors[5] = 0
    assert neighbours(view, 5) == {} and neighbours(SampleView(samples, made.LABELS), 1) == {}
    alone = samples["source"] == "generated"
    alone = SampleView(samples[alone], made.LABELS, None, vectors[alone])
    assert list(neighbours(alone, 1)) == ["generated"]


def test_overlapping_words_are_marked_and_runs_stronger():
    text = "The cat & the dog ran <far> away, OK?"
    pieces = overlap(text, "a dog; the cat ran far away")
    assert "".join(piece for _, piece in pieces) == text
    kinds = [[piece for kind, piece in pieces if kind == wanted] for wanted in ("word", "run")]
    assert kinds == [["The", "cat", "the", "dog"], ["ran", " <", "far", "> ", "away"]]
    assert not any(kind for kind, _ in overlap("nothing", "shared") + overlap("", "x"))


# ---- escaping


class Reader(HTMLParser):
    """Collects what a browser would see: tags, attributes, and text outside of style sheets; checks
    that tags nest.
    """

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), set(), "", []
        self.acts = []
        self.feed(str(page))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attributes)
        self.acts += [value for name, value in attributes if name == "data-act"]
        assert tag != "img" or dict(attributes)["src"].startswith("data:image/png;base64,")
        self.open += [] if tag in ("br", "img") else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += "" if "style" in self.open else data


ATTRIBUTES = {"class", "style", "title", "dir", "scope"} | {"role", "tabindex", "data-act"}
ATTRIBUTES |= {"src", "alt"}
OURS = {
    "img",
    "style",
    "div",
    "span",
    "p",
    "b",
    "br",
    "h3",
    "h4",
    "mark",
    "details",
    "summary",
    "table",
    "tr",
    "th",
    "td",
}


def test_nothing_generated_gets_out_of_its_place():
    hostile = made.HOSTILE + tuple(f'x"><script>{k}</script>' for k in range(3))
    given_rows = [(text, "kept", [1, 2, 3]) for text in hostile] + [("x", hostile[1], None)]
    student = np.eye(3)[np.arange(len(given_rows)) % 3]
    samples = table([*given_rows, *given_rows])
    half = [len(given_rows)] * 2
    places = {"x": np.linspace(0, 1, len(samples)), "y": 0.5, "distance": 0.1}
    samples = samples.assign(source=np.repeat(["generated", "real"], half), **places)
    vectors = np.random.default_rng(0).normal(size=(len(samples), 4))
    view = SampleView(samples, hostile[:3], np.concatenate([student] * 2), vectors)
    marks = marks_of(len(view), {0: "keep"}, dict.fromkeys(range(len(hostile)), hostile[0]))
    game = Quiz(view)
    game.guess(next(iter(game.truth)), True)
    trained = {"chosen": hostile[0], "texts": 3, "accuracy": 0.5, "baseline_accuracy": 0.4}
    pages = [
        looks.static(view, marks, hostile[0], picture(view)),
        looks.summary(view, np.arange(3), np.arange(9)),
        looks.words(view, hostile[0]),
        looks.grid(view, grid(view, np.arange(len(view)))),
        looks.quiz(view, game),
        looks.compared(hostile[:3], view.shares(0)),
        looks.legend(hostile[:3], ["#123456"] * 3),
        looks.results([trained | {hostile[0]: hostile[1]}], hostile[0]),
        looks.notice(hostile[0], "warning"),
    ]
    for row in range(len(view)):
        detail = looks.detail(view, row, marks)
        assert view.texts[row] in Reader(detail).text
        pages += [detail, looks.lines(view, [row], marks, row)]
    for page in pages:
        seen = Reader(page)
        assert seen.tags <= OURS and seen.attributes <= ATTRIBUTES
        assert all(isinstance(json.loads(act), dict) for act in seen.acts)
        assert not re.search(r"https?://|url\(|@import", page)


def test_bars_name_the_likeliest_classes_and_sum_the_rest():
    shares = np.log([0.3, 0.2] + [0.5 / 12] * 12)
    frame = pd.DataFrame(
        {
            "text": ["a", "b"],
            "fate": ["kept", "empty"],
            "teacher_logits": [shares, np.full(14, np.nan)],
            "teacher_label": [0, -1],
            "confidence": [0.3, np.nan],
            "entropy": [1.0, np.nan],
        }
    )
    labels = [f"class {k}" for k in range(14)]
    view = SampleView(frame, labels, np.stack([shares[::-1]] * 2))
    text = Reader(looks.compared(labels, view.shares(0))).text
    assert "class 0" in text and "class 13" in text and "6 others" in text and "30.0%" in text
    assert "–" in looks.compared(labels, view.shares(1))
    assert "never saw" in looks.compared(labels, SampleView(frame, labels).shares(1))


# ---- marks


def test_marks_survive_a_round_trip(tmp_path):
    path = tmp_path / "new" / "marks.json"
    marks = marks_of(8, {3: "keep", 1: "drop"}, {1: 'half – "a" sentence', 7: "<b>"})
    save_marks(path, "abc", marks)
    loaded, problem = load_marks(path, "abc", 8)
    assert loaded.equals(marks) and problem == "" and os.listdir(path.parent) == ["marks.json"]
    assert load_marks(tmp_path / "none.json", "abc", 8)[0].equals(no_marks(8))


def test_stale_or_damaged_marks_are_said_and_never_applied_nor_overwritten(tmp_path):
    path = tmp_path / "marks.json"
    save_marks(path, "old", marks_of(3, {1: "keep"}))
    marks, problem = load_marks(path, "new", 3)
    assert marks.equals(no_marks(3))
    assert "belong to other samples (old, these are new): not applied" in problem
    save_marks(path, "new", marks_of(3, {2: "drop"}))
    assert verdicts(load_marks(path, "new", 3)[0]) == {2: "drop"}
    assert verdicts(load_marks(tmp_path / "marks.stale.json", "old", 3)[0]) == {1: "keep"}
    entry = '{"samples": "new", "marks": [{"row": %s, "mark": "%s", "note": ""}]}'
    damaged = ('{"samples": "new", "marks": [{"row"', "[]", entry % (9, "keep"), entry % (1, "so"))
    for content in damaged:
        path.write_text(content)
        marks, problem = load_marks(path, "new", 5)
        assert marks.equals(no_marks(5)) and "cannot be read" in problem, content
    path.write_text("{")
    save_marks(path, "new", no_marks(5))
    assert (tmp_path / "marks.stale-1.json").read_text() == "{"


def test_a_kill_while_saving_leaves_the_marks_whole(tmp_path):
    path = tmp_path / "marks.json"
    code = (
        "import sys, pathlib; from gdlib.explorer.marks import no_marks, save_marks\n"
        "few = no_marks(5000); few.loc[0, 'mark'] = 'keep'\n"
        "while True:\n for marks in (few, few.assign(mark='keep')):\n"
        "  save_marks(pathlib.Path(sys.argv[1]), 'abc', marks)"
    )
    env = os.environ | {"PYTHONPATH": str(Path(gdlib.__file__).parents[1])}
    for _ in range(2):
        saver = subprocess.Popen([sys.executable, "-c", code, str(path)], env=env)
        while not path.exists():
            time.sleep(0.01)
        time.sleep(0.1)
        saver.send_signal(signal.SIGKILL)
        saver.wait()
        marks, problem = load_marks(path, "abc", 5000)
        assert problem == "" and len(verdicts(marks)) in (1, 5000)
        path.unlink()


# ---- widgets


@pytest.fixture
def shown(tmp_path):
    samples, vectors, student = made.samples(200)
    return Explorer(
        samples,
        made.LABELS,
        vectors=vectors,
        student_logits=student,
        ask=made.ask,
        marks_path=tmp_path / "marks.json",
        train=lambda chosen: {
            "accuracy": 0.75,
            "baseline_accuracy": 0.7,
            "texts": len(chosen),
            "steps": 12,
        },
    )


def plain(widget) -> str:
    return Reader(widget.value).text


def listed(ui) -> tuple[list[int], int | None]:
    """The texts that can be opened in the list, and the one that is open."""
    said = re.findall(r'class="row( current)?" role="button".*?data-act="([^"]+)"', ui.list.value)
    rows = [(json.loads(unescape(act))["open"], bool(current)) for current, act in said]
    return [row for row, _ in rows], next((row for row, is_open in rows if is_open), None)


def test_filter_widgets_filter_live(shown):
    ui, view = shown.ui, shown.view
    assert "200 of 200 texts, page 1 of 25" in plain(ui.count)
    assert ui.filters["group"].label == "any"
    assert ".gdx-app .gdx-filters {" in ui.app.children[0].value
    moves = {
        "search": "the",
        "fate": "kept",
        "label": "politics",
        "confidence": (0.4, 0.95),
        "entropy": (0.1, 1.4),
        "student": "agrees",
    }
    expected = Filters()
    for name, value in moves.items():
        before = len(shown.rows)
        ui.filters[name].value = value
        expected = replace(expected, **{name: value})
        assert (
            shown.rows.tolist() == view.select(expected, shown.marks).tolist()
            and 0 < len(shown.rows) <= before
        )
    ui.filters["sort"].value, ui.filters["descending"].value = "teacher's entropy", True
    assert np.all(np.diff(view.frame.entropy[shown.rows]) <= 0)
    assert f"{len(shown.rows)} of 200 texts" in plain(ui.count)
    ui.filters["search"].value = "no such words"
    assert (
        "No text passes" in plain(ui.count)
        and ui.buttons["keep"].disabled
        and ui.buttons["keep_all"].disabled
        and ui.buttons["next_text"].disabled
    )
    assert listed(ui) == ([], None)
    ui.buttons["clear"].click()
    assert shown.filters == Filters() and len(shown.rows) == 200
    choices = ("fate", "label", "guess", "student", "mark", "group")
    assert [ui.filters[name].label for name in choices] == ["any"] * 6


def test_pages_and_open_text(shown):
    ui = shown.ui
    assert ui.buttons["previous_page"].disabled and not ui.buttons["next_page"].disabled
    ui.buttons["next_page"].click()
    assert shown.page == 1 and listed(ui)[0] == [*range(8, 16)]
    ui.list._handle_custom_msg({"open": 11}, [])
    assert "Text #11" in plain(ui.detail) and listed(ui) == ([*range(8, 16)], 11)
    for _ in range(5):
        ui.buttons["next_text"].click()
    assert shown.current == 16 and shown.page == 2 and listed(ui)[1] == 16
    ui.buttons["previous_text"].click()
    assert shown.current == 15 and shown.page == 1
    ui.page.value = 25
    assert ui.buttons["next_page"].disabled and shown.page == 24
    ui.filters["fate"].value = "in test set"
    assert shown.page == 0 and ui.page.max == 1


def test_marking_undoing_saving_and_finding_again(shown):
    ui = shown.ui
    assert ui.buttons["save"].disabled and ui.buttons["undo"].disabled
    ui.buttons["drop"].click()
    ui.note.value = "half a <b>sentence</b>"
    assert verdicts(shown.marks) == {0: "drop"} and re.match(r"\s*#0\s*✎\s*drop", plain(ui.list))
    assert "half a <b>sentence</b>" in plain(ui.detail) and "not saved" in plain(ui.status)
    ui.advance.value = True
    ui.buttons["keep"].click()
    assert verdicts(shown.marks) == {0: "keep"} and shown.current == 1 and ui.note.value == ""
    ui.filters["fate"].value = "cut off"
    ui.buttons["keep_all"].click()
    assert len(verdicts(shown.marks)) == 1 + len(shown.rows)
    ui.buttons["undo"].click()
    assert verdicts(shown.marks) == {0: "keep"}
    ui.buttons["clear"].click()
    ui.filters["mark"].value = "unmarked"
    ui.advance.value = False
    ui.buttons["drop"].click()  # it leaves the list, and stays open
    assert shown.current == 1 and 1 not in shown.rows and "Text #1" in plain(ui.detail)
    ui.buttons["unmark"].click()
    ui.buttons["save"].click()
    assert ui.buttons["save"].disabled and "not saved" not in plain(ui.status)
    assert json.loads(shown.path.read_text("utf-8")) == {
        "samples": shown.view.digest,
        "marks": [{"row": 0, "mark": "keep", "note": "half a <b>sentence</b>"}],
    }
    samples, vectors, _ = made.samples(200)
    again = Explorer(samples, made.LABELS, vectors=vectors, marks_path=shown.path)
    assert (
        again.marks.equals(shown.marks)
        and again.warning == ""
        and again.ui.filters["student"].disabled
    )
    assert (
        again.ui.note.value == "half a <b>sentence</b>" and again.ui.buttons["undo"].disabled
    )  # showing a note is no change


def test_marks_of_other_samples_are_said_in_widget_and_page(shown, monkeypatch):
    shown.ui.buttons["keep"].click()
    shown.ui.buttons["save"].click()
    samples, vectors, _ = made.samples(100)
    other = Explorer(samples, made.LABELS, vectors=vectors, marks_path=shown.path)
    assert verdicts(other.marks) == {} and "belong to other samples" in plain(
        other.ui.app.children[0]
    )
    pages = []
    monkeypatch.setattr(explorer, "display", pages.append)
    other.show()
    assert "belong to other samples" in pages[0].data


def test_saving_where_nothing_can_be_written_is_said(shown, tmp_path):
    (tmp_path / "file").write_text("")
    shown.path = tmp_path / "file" / "marks.json"
    shown.ui.buttons["keep"].click()
    shown.ui.buttons["save"].click()
    assert "the marks were not saved" in plain(shown.ui.status)


def test_training_on_a_selection(shown):
    ui, chosen = shown.ui, []
    kept = shown.view.unselected
    unselected = f"Nothing is selected: all {len(kept):,} texts, as in the run"
    assert ui.buttons["train"].description == unselected and ui.buttons["train"].disabled
    shown.train = lambda rows: (
        chosen.append(rows)
        or {"accuracy": 0.75, "baseline_accuracy": 0.7, "texts": len(rows), "steps": 12}
    )
    ui.buttons["drop"].click()
    assert ui.buttons["train"].description == f"Train a student on {len(kept) - 1:,} texts"
    ui.buttons["train"].click()
    assert chosen == [kept[1:]]
    text = plain(ui.outcome)
    assert all(
        part in text
        for part in ("75.0%", "70.0%", "+5.0 points", "steps", "12", "One student and one seed")
    )
    ui.rule.value = "shown"
    ui.filters["label"].value = "politics"
    ui.buttons["train"].click()
    assert (
        chosen[1] == shown.view.selection(shown.marks, "shown", shown.rows)
        and len(shown.results) == 2
    )
    ui.rule.value = "keep"
    assert ui.buttons["train"].disabled and "0 texts" in ui.buttons["train"].description


@pytest.mark.parametrize(
    ("error", "said"),
    [(BadCorpus("one <class> only"), "one <class> only"), (KeyboardInterrupt(), "stopped")],
)
def test_a_training_that_fails_is_said_and_can_be_repeated(shown, error, said):
    def fail(rows):
        raise error

    train, shown.train = shown.train, fail
    shown.ui.buttons["drop"].click()
    shown.ui.buttons["train"].click()
    assert (
        f"No student was trained: {said}" in plain(shown.ui.outcome)
        and not shown.ui.buttons["train"].disabled
    )
    shown.train = train
    shown.ui.buttons["train"].click()
    assert "+5.0 points" in plain(shown.ui.outcome) and "No student" not in plain(shown.ui.outcome)


def test_an_unforeseen_error_shows_its_traceback_below_the_button(shown, monkeypatch):
    shell, seen = SimpleNamespace(kernel=None), []
    shell.showtraceback = lambda error, tb_offset: seen.append(error[0])
    monkeypatch.setattr("ipywidgets.widgets.widget_output.get_ipython", lambda: shell)
    shown.train = lambda rows: rows["no list has this"]
    shown.ui.buttons["drop"].click()
    shown.ui.buttons["train"].click()
    assert seen == [TypeError] and "No student was trained: see the error below" in plain(
        shown.ui.outcome
    )
    assert not shown.ui.buttons["train"].disabled


def test_without_texts_or_training():
    empty = Explorer(table([]), LABELS)
    assert "No text passes" in plain(empty.ui.count) and "No text is open" in plain(empty.ui.detail)
    assert empty.ui.buttons["train"] not in [
        child for box in empty.ui.app.children for child in getattr(box, "children", ())
    ]


# ---- static page and notebook


def test_widget_only_before_a_live_frontend(shown, monkeypatch):
    pages = []
    monkeypatch.setattr(explorer, "display", lambda page, raw=False: pages.append(page))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    shown.show()
    assert len(pages) == 1 and "gdx-static" in pages[0].data
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/explore_samples.ipynb")
    shown.show(live=False)
    assert len(pages) == 2
    shown._ipython_display_()
    assert (
        len(pages) == 4
        and "application/vnd.jupyter.widget-view+json" in pages[2]
        and pages[2]["text/html"] == ""
        and "gdx-static" in pages[3].data
    )


def test_papermill_and_html_show_the_static_page(tmp_path, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    code = (
        f"import sys; sys.path[:0] = [{str(BROWSER)!r}, "
        f"{str(Path(gdlib.__file__).parents[1])!r}]\n"
        "import made; from gdlib.explorer.explorer import Explorer\n"
        "table, vectors, student = made.samples(60)\n"
        "table.loc[0, 'confidence'] = 1.0\n"  # the script tag comes out best
        "Explorer(table, made.LABELS, vectors=vectors, student_logits=student, train=made.train)"
    )
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(
        new_notebook(cells=[new_code_cell(code)], metadata=kernel), tmp_path / "in.ipynb"
    )
    papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", progress_bar=False)
    done = nbformat.read(tmp_path / "out.ipynb", 4)
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert "data:image/png;base64," in outputs[0]["data"]["text/html"]
    assert [sorted(output["data"]) for output in outputs] == [["text/html", "text/plain"]]
    assert (
        "widgets" not in done.metadata
    )  # no dead state, nothing that a page would fetch a renderer for
    page = HTMLExporter().from_notebook_node(done)[0]
    assert (
        "60 generated texts" in page
        and "widget-state+json" not in page
        and "&lt;script&gt;document.title" in page
    )
    assert "<script>document.title" not in page


def test_the_notebook_runs_on_a_study(tmp_path, monkeypatch):
    samples, vectors, student = made.samples(60)

    class Study:
        def __init__(self, settings, store):
            self.settings = settings
            assert settings.corpus == "wordnet" and store.root == tmp_path / "store"

        opened = staticmethod(lambda kept: (samples, made.LABELS, vectors, student))
        ask = staticmethod(made.ask)
        train_on = staticmethod(made.train)

    monkeypatch.setattr(studies, "class_of", lambda plan: Study)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.chdir(tmp_path)  # the notebook goes to the project's folder, if it is in one
    pages, names = [], {}
    monkeypatch.setattr(explorer, "display", pages.append)
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), names)  # noqa: S102
            if "parameters" in cell.metadata.get("tags", []):
                names["store"] = str(tmp_path / "store")
    assert len(pages) == 1 and "60 generated texts" in pages[0].data
    assert names["marks"] == tmp_path / "marks" / "wordnet-100-0.json"
