"""The explorer's map and tabs: what is clicked filters and opens, the quiz counts, the files hold
what is shown.
"""

import json
import re
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from scipy.special import softmax
from sklearn.metrics import confusion_matrix

from gdlib.explorer.explorer import Explorer
from gdlib.explorer.filters import Filters
from gdlib.explorer.html import looks
from gdlib.explorer.measures import grid, histogram, keywords
from gdlib.explorer.tools import Quiz
from gdlib.explorer.view import SampleView

BROWSER = Path(__file__).parent / "browser"
sys.path.insert(0, str(BROWSER))
import made  # noqa: E402


@pytest.fixture
def shown(tmp_path):
    samples, vectors, student = made.samples(200)
    how = {"student_logits": student, "marks_path": tmp_path / "new" / "marks.json"}
    return Explorer(samples, made.LABELS, vectors=vectors, ask=made.ask, **how)


def bytes_of(trait: bytes, kind: type) -> np.ndarray:
    return np.frombuffer(trait, kind)


# ---- the map


def test_the_map_has_every_text_with_a_place_and_says_which_is_open(shown):
    view, drawn = shown.view, shown.ui.map
    assert not view.placed.all(), "else a row is a dot's number, and nothing is tried"
    places = bytes_of(drawn.places, np.float32).reshape(-1, 2)
    np.testing.assert_allclose(places, view.frame.loc[view.placed, ["x", "y"]], atol=1e-6)
    kinds = [["generated", "labelled", "real"][k] for k in bytes_of(drawn.kinds, np.uint8)]
    assert kinds == view.frame["source"][view.placed].tolist()
    for column in ("label", "student", "source"):
        drawn.colour_by(column)
        meaning = [*drawn.names, None] if "none" not in drawn.names else [*drawn.names[:-1], None]
        named = [meaning[code] for code in bytes_of(drawn.codes, np.uint8)]
        expected = view.frame[column][view.placed].astype(object)
        assert named == expected.where(expected.notna(), None).tolist()
        assert len(drawn.palette) > max(bytes_of(drawn.codes, np.uint8))
    for dot in (0, 199, len(places) - 1):
        shown.act({"open": int(drawn.rows[dot])})
        assert drawn.current == dot and f"Text #{drawn.rows[dot]}" in shown.ui.detail.value
    shown.current = int(np.flatnonzero(~view.placed)[0])
    shown.refresh()
    assert drawn.current == -1


def test_a_click_on_a_dot_opens_its_text_and_turns_to_its_page(shown):
    drawn = shown.ui.map
    drawn._handle_custom_msg({"open": 150}, [])
    assert shown.current == drawn.rows[150] and shown.current in shown.shown


def test_a_brush_filters_the_list_and_other_filters_the_map(shown):
    view, ui = shown.view, shown.ui
    ui.map.value = [0.2, 0.3, 0.6, 0.8]  # as the page sends it
    inside = view.frame["x"].between(0.2, 0.6) & view.frame["y"].between(0.3, 0.8)
    generated = view.frame["source"] == "generated"
    assert shown.rows.tolist() == np.flatnonzero(inside & generated).tolist() != []
    assert shown.filters == Filters(brush=(0.2, 0.3, 0.6, 0.8))
    # The map shows real texts too, whichever source the list is of.
    assert bytes_of(ui.map.shown, bool).tolist() == inside[view.placed].tolist()
    ui.filters["label"].value = "sport"
    expected = inside & (view.frame["label"] == "sport")
    assert bytes_of(ui.map.shown, bool).tolist() == expected[view.placed].tolist()
    ui.filters["source"].value = "real"
    assert (
        shown.rows.tolist() == np.flatnonzero(expected & (view.frame["source"] == "real")).tolist()
    )
    ui.buttons["clear"].click()
    assert ui.map.value == () and len(shown.rows) == 200
    assert bytes_of(ui.map.shown, bool).all()


def test_real_texts_that_nothing_covers_are_listed_and_never_marked(shown):
    shown.ui.buttons["uncovered"].click()
    frame = shown.view.frame
    real = frame.index[frame["source"] == "real"]
    assert shown.rows.tolist() == sorted(real, key=lambda row: -frame["distance"][row])
    assert "100</b> of 100 texts" in shown.ui.count.value
    assert shown.ui.buttons["keep"].disabled and shown.ui.buttons["drop"].disabled
    shown.ui.buttons["keep_all"].click()
    assert (shown.marks["mark"] == "").all()


def test_the_static_page_counts_the_generated_texts_alone(shown):
    page, *_ = looks.static(shown.view, shown.marks, "", "").split(" marked keep")
    counts = re.findall(r'class="num">([\d,]+)( <span class="soft">of)?', page)
    labels = (shown.view.frame["label"][shown.view.generated]).value_counts(sort=False)
    assert [str(count) for count in labels] == [number for number, _ in counts][-7:-2]
    assert not any(more for _, more in counts) and len(counts) > 7


def test_without_places_there_is_no_map():
    samples, _, _ = made.samples(20)
    alone = samples[samples["source"] == "generated"].drop(columns=["source", "x", "y", "distance"])
    shown = Explorer(alone, made.LABELS)
    assert shown.ui.map is None and "brush" not in shown.ui.filters and len(shown.rows) == 20
    assert shown.ui.tools.app.titles == () and "Nearest" not in shown.ui.detail.value
    assert "<img" not in looks.static(shown.view, shown.marks, "", "")


# ---- what is clicked


def test_a_click_on_a_bar_filters_and_a_second_one_takes_it_back(shown):
    click = {"filters": {"label": "politics"}}
    assert f'data-act="{escape(json.dumps(click))}"' in shown.ui.summary.value
    shown.ui.summary._handle_custom_msg(click, [])
    assert shown.filters == Filters(label="politics")
    shown.ui.summary._handle_custom_msg({"filters": {"fate": "kept"}}, [])
    assert shown.filters == Filters(label="politics", fate="kept")
    shown.ui.summary._handle_custom_msg(click, [])
    assert shown.filters == Filters(fate="kept")


def open_tab(shown, title: str):
    tools = shown.ui.tools
    tools.app.selected_index = list(tools.pages).index(title)
    return tools


def test_histograms_count_what_their_bars_filter(shown):
    shown.refilter()
    view, everything = shown.view, np.arange(len(shown.view))
    for column in ("confidence", "words"):
        bars = histogram(view, column, shown.rows, everything)
        known = view.frame[column].dropna()
        assert sum(bar[3] for bar in bars) == len(known) > sum(bar[2] for bar in bars) > 0
        assert bars[0][0] == 0 and bars[-1][1] == (1 if column == "confidence" else known.max())
        for low, high, count, total in bars:
            assert total == known.between(low, high).sum()
            passing = view.select(Filters(**{column: (low, high)}), shown.marks)
            assert count == len(passing)
    # A bar, as its click says it; a range, as dragging says it; again takes it back.
    said = re.findall(r'data-act="([^"]+)"', shown.ui.summary.value)
    clicks = [json.loads(unescape(each))["filters"] for each in said]
    low, high = max(bars[1:], key=lambda bar: bar[2])[:2]
    assert {"words": [low, high]} in clicks and {"confidence": [0.95, 1.0]} in clicks
    for limits in ([low, high], [low, high + 3]):
        shown.act({"filters": {"words": limits}})
        assert view.frame["words"][shown.rows].between(*limits).all()
        assert 0 < len(shown.rows) < 200 and shown.ui.filters["words"].value == tuple(limits)
        drawn = bytes_of(shown.ui.map.shown, np.uint8).astype(bool)
        assert view.frame["words"][shown.ui.map.rows[drawn]].between(*limits).all()
    shown.act({"filters": {"words": limits}})
    assert shown.filters == Filters() and len(shown.rows) == 200


def test_one_text_far_longer_than_the_others_is_in_the_last_bar():
    samples, _, _ = made.samples(200)
    samples.loc[10, "text"] = "word " * 300
    shown = Explorer(samples, made.LABELS)
    shown.refilter()
    last = histogram(shown.view, "words", shown.rows, shown.rows)[-1]
    shown.act(json.loads(json.dumps({"filters": {"words": last[:2]}})))
    assert last[1] == 300 and last[0] < 60 and 10 in shown.rows
    assert len(shown.rows) == last[2] == (shown.view.frame["words"][:200] >= last[0]).sum()


def test_near_duplicates_are_listed_by_the_size_of_their_group(shown):
    view = shown.view
    sizes = view.frame["group"][view.generated].value_counts()
    sizes = sizes[sizes > 1]
    assert view.groups == sizes.to_dict() and len(sizes) > 3
    page = shown.ui.tools.pages["Near-duplicates"].value
    assert f"{sizes.sum()} of 200 generated texts" in page and f"in {len(sizes)} groups" in page
    listed = re.findall(r'data-act="([^"]+)"', page)
    shown.act(json.loads(unescape(listed[0])))
    groups = view.frame["group"][shown.rows].tolist()
    assert len(groups) == sizes.sum()
    in_turn = list(dict.fromkeys(groups))
    assert [first for first in in_turn for _ in range(sizes[first])] == groups
    assert sizes[in_turn].is_monotonic_decreasing and sizes[in_turn[0]] > sizes[in_turn[-1]]
    shown.clear_filters()
    first = json.loads(unescape(listed[1]))["filters"]["group"]
    shown.act({"filters": {"group": first}})
    assert shown.rows.tolist() == np.flatnonzero(view.frame["group"] == first).tolist()
    assert len(shown.rows) == sizes.max()
    assert f"one of {sizes.max()} near-duplicates of #{first}" in shown.ui.detail.value


def test_the_grid_counts_as_scikit_learn_and_filters(shown):
    view, tools = shown.view, open_tab(shown, "Teacher and student")
    rows = shown.rows[view.teacher_label[shown.rows] >= 0]
    assert len(rows) < len(shown.rows), "else a text without a teacher is not tried"
    expected = confusion_matrix(view.teacher_label[rows], view.student_label[rows], labels=range(5))
    assert grid(view, shown.rows).tolist() == expected.tolist()
    cell = {"filters": {"label": "sport", "guess": "politics"}}
    tools.grid._handle_custom_msg(cell, [])
    assert len(shown.rows) == expected[3, 2] > 0
    assert shown.ui.filters["student"].value == "" and shown.filters.guess == "politics"
    tools.grid._handle_custom_msg(cell, [])
    assert shown.filters == Filters()


def test_words_follow_the_class_and_a_click_searches(shown):
    tools, view = open_tab(shown, "Words"), shown.view
    assert "kept generated texts, against real ones" in tools.words.value
    shown.ui.filters["label"].value = "sport"
    assert "of the class sport" in tools.words.value
    for label in ("", "sport"):
        found = keywords(view, label, 1000)
        passes = view.frame["label"] == label if label else view.frame["row"] >= 0
        parts = [
            re.findall(r"\w+(?:'\w+)*", " ".join(np.array(view.texts, object)[rows]).lower())
            for rows in (passes & view.kept, passes & ~view.generated)
        ]
        for kind, sign in (("over", 1), ("under", -1)):
            assert len(found[kind]) and (np.sign(found[kind]["z"]) == sign).all()
            assert (found[kind]["z"].abs().diff().dropna() <= 1e-9).all(), "the strongest first"
        words = pd.concat(found.values()).set_index("word").loc[["striker", "minister", "the"]]
        for word, line in words.iterrows():
            expected = [1e4 * part.count(word) / len(part) for part in parts]
            assert [line["own"], line["other"]] == pytest.approx(expected)
    word = keywords(view)["over"]["word"][0]
    tools.words._handle_custom_msg({"filters": {"search": word}}, [])
    assert shown.filters.search == word and all(word in view.texts[k].lower() for k in shown.rows)


# ---- quiz, sentence, export


def test_the_quiz_draws_both_kinds_and_counts_the_first_word():
    samples, vectors, student = made.samples(60)
    view = SampleView(samples, made.LABELS, student, vectors)
    quiz, seen = Quiz(view), set()
    for _ in range(30):
        assert len(quiz.truth) == 5 and len(set(quiz.truth.values())) == 2
        for row, is_real in quiz.truth.items():
            assert is_real == (view.frame["source"][row] == "real")
            assert is_real or view.kept[row]
        seen |= set(quiz.truth)
        quiz.draw()
    assert len(seen) > 40
    first, second, *_ = quiz.truth
    quiz.guess(first, quiz.truth[first])
    quiz.guess(first, not quiz.truth[first])
    quiz.guess(second, not quiz.truth[second])
    quiz.guess(-5, True)
    assert (quiz.right, quiz.asked) == (1, 2)
    few = SampleView(samples[:64], made.LABELS, None, vectors[:64])
    assert not Quiz(few).is_possible


def test_the_quiz_is_played_by_clicks(shown):
    tools = open_tab(shown, "Which one is real?")
    row, truth = next(iter(tools.quiz.truth.items()))
    assert "0 of 0" in tools.questions.value and "✓" not in tools.questions.value
    tools.questions._handle_custom_msg({"guess": [row, truth]}, [])
    assert "1 of 1" in tools.questions.value and "✓ right" in tools.questions.value
    before = list(tools.quiz.truth)
    tools.questions._handle_custom_msg({"draw": True}, [])
    assert list(tools.quiz.truth) != before and "1 of 1" in tools.questions.value


def test_a_sentence_is_shown_to_teacher_and_student(shown):
    tools = open_tab(shown, "Type a sentence")
    tools.sentence.value = "A late <b>winner</b>"
    logits = np.array([0, 0, 0, 1.0, 0])  # made.ask: a twentieth of its twenty characters
    teacher, student = softmax(logits)[3], softmax(logits[::-1] / 2)[1]
    said = tools.answer.value
    assert f"{100 * teacher:.1f}%" in said and f"{100 * student:.1f}%" in said
    assert said.index("sport") < said.index("politics")


def test_the_selection_is_written_in_three_kinds_of_file(shown):
    tools = open_tab(shown, "Export")
    shown.ui.buttons["drop"].click()
    shown.ui.note.value = 'half, "a" sentence'
    shown.ui.filters["fate"].value = "kept"
    shown.ui.filters["sort"].value = "teacher's confidence"
    read = {
        "csv": pd.read_csv,
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }
    for kind, reader in read.items():
        path = tools.export(kind)
        assert path == shown.path.with_name(f"marks-selection.{kind}")
        table = reader(path).fillna("")
        assert table["row"].tolist() == shown.rows.tolist()
        assert table["text"].tolist() == [shown.view.texts[row] for row in shown.rows]
        names = [made.LABELS[k] for k in shown.view.teacher_label[shown.rows]]
        assert table["teacher_class"].tolist() == names and set(table["source"]) == {"generated"}
        marked = table.set_index("row")
        assert marked.loc[0, "mark"] == "drop" and marked.loc[0, "note"] == 'half, "a" sentence'
        assert str(len(shown.rows)) in tools.written.value and kind in tools.written.value
    shown.path = shown.path.parent / "marks-selection.csv" / "marks.json"
    assert tools.export("csv") is None and "nothing was written" in tools.written.value
