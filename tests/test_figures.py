"""Figures: the same bytes twice, all names on them, series told apart without colour, honest titles
and axes.
"""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gdlib import charts
from gdlib.charts import style
from gdlib.compare import metrics
from gdlib.studies.shared import figures
from gdlib.studies.shared import titles as titles_of

LABELS = ["act", "animal", "communication"]
STUDENTS = ["BlendCNN", "KimCNN"]
VALUES = {
    "labelled only": 0.58,
    "generation-distillation": 0.63,
    "generated + real": 0.67,
    "generated /2": 0.61,
    "generated /4": 0.6,
}
TEACHER = pd.DataFrame([{"panel": "", "arm": "teacher", "value": 0.71}])


def arm_table() -> pd.DataFrame:
    rows = [
        (student, arm, value, value - 0.01, value + 0.01)
        for student in STUDENTS
        for arm, value in VALUES.items()
    ]
    rows += [
        ("", "majority", 0.16, 0.16, 0.16),
        ("", "tfidf-lr", 0.54, 0.53, 0.55),
        ("", "teacher", 0.71, 0.7, 0.72),
    ]
    return pd.DataFrame(rows, columns=["panel", "arm", "value", "low", "high"])


def curve(series: str) -> pd.DataFrame:
    """A sweep in which each of two arms or students grows."""
    values = {10: 0.5, 50: 0.55, 500: 0.6}
    table = pd.DataFrame({"size": values.keys(), "value": values.values()})
    table = table.assign(low=table["value"] - 0.01, high=table["value"] + 0.02)
    return pd.concat([table.assign(**{"arm": "a", series: name}) for name in STUDENTS])


def history() -> pd.DataFrame:
    held_out = [2, 1.4, 1.2, np.nan]
    return pd.DataFrame(
        {"step": [10, 20, 30, 40], "train_loss": [2, 1, 0.5, 0.2], "held_out": held_out}
    )


def calibrated() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    confidence = rng.random(300)
    return metrics.reliability(confidence, rng.random(300) < confidence)


def traces() -> pd.DataFrame:
    """Two stages with unfreezing, and the same without; the second stage keeps its beginning."""
    rows = []
    for arm, layers in (
        ("D3.1", [""] + ["embedding"] * 4),
        ("D3.2", ["", "readout", "BiLSTM", "BiLSTM", "embedding"]),
    ):
        for stage, (losses, scores) in enumerate(
            [("states", [0.9, 0.6, 0.5, 0.4, 0.3]), ("labels + logits", [0.2, 0.5, 0.4, 0.35, 0.3])]
        ):
            best = scores.index(min(scores))
            for i, (layer, score) in enumerate(zip(layers, scores)):
                rows.append((arm, stage, losses, layer, 40 * stage + 10 * i, score, i == best))
    return pd.DataFrame(
        rows, columns=["arm", "stage", "losses", "unfrozen", "step", "score", "kept"]
    )


COST = pd.DataFrame(
    {
        "name": ["teacher", "KimCNN"],
        "latency": [14.0, 0.8],
        "value": [0.71, 0.63],
        "parameters": [22_700_000, 1_100_000],
    }
)
STEPS = pd.DataFrame(
    {
        "arm": ["teacher", "D0", "D1", "D4.1", "D4.2", "D1, as long as D4.2"],
        "steps": [0, 300, 450, 1016, 3016, 4050],
        "value": [0.60, 0.28, 0.48, 0.51, 0.54, 0.52],
    }
)
HARD_SOFT = pd.DataFrame(
    {"panel": STUDENTS, "hard": [0.6, 0.62], "soft": [0.61, 0.6], "low": -0.03, "high": 0.02}
)
SHARES = pd.DataFrame(
    {
        "arm": ["T = 1", "T = 4"] * 2,
        "class": ["act", "act", "food", "food"],
        "value": [0.9, 0.6, 0.1, 0.4],
    }
)
DIFFERENCES = pd.DataFrame(
    {
        "panel": ["cola", "rte"] * 2,
        "question": ["a minus b"] * 2 + ["b minus c"] * 2,
        "value": [0.02, -0.01, 0.0, 0.03],
        "low": [0.01, -0.02, -0.01, -0.01],
        "high": [0.03, 0.0, 0.01, 0.07],
        "seeds_low": [0.0, -9.0, -0.01, -0.02],
        "seeds_high": [0.04, 9.0, 0.01, 0.08],
        "resolved": [True, False, False, False],
    }
)
SPUN = pd.DataFrame(
    [(p, i, j, 0.5 + 0.1 * (i == j)) for p in "de" for i in "ab" for j in "ab"],
    columns=["panel", "trained on", "tested on", "value"],
)
LENGTHS = {"generated": [3, 9, 12], "real": [5, 40]}


def differences() -> Figure:
    words = {"title": "Differences", "label": "points"}
    return charts.forest(DIFFERENCES, panel="question", row="panel", zero=True, seeds=2, **words)


EVERY = {
    "forest": differences,
    "lines": lambda: charts.unfreezing(traces(), marks=figures.MARKS),
    "matrix": lambda: charts.matrix(
        SPUN, title="F1", rows="trained on", columns="tested on", digits=1
    ),
    "histogram": lambda: charts.histogram(LENGTHS, title="Length of texts", label="words per text"),
    "learning_curve": lambda: charts.learning_curve(history(), what="teacher"),
    "calibration": lambda: charts.calibration({"teacher": calibrated(), "KimCNN": calibrated()}),
    "arms": lambda: figures.arms(arm_table(), seeds=5),
    "sizes": lambda: figures.sizes(curve("panel"), TEACHER, seeds=5),
    "labels": lambda: figures.labels(curve("arm"), seeds=5),
    "hard_soft": lambda: figures.hard_soft(HARD_SOFT, seeds=5),
    "cost_quality": lambda: figures.cost_quality(COST, seeds=5),
    "steps": lambda: figures.steps(STEPS.assign(low=0.2, high=0.6), seeds=3),
    "confusion": lambda: figures.confusion([[8, 1, 1], [0, 9, 1], [2, 0, 8]], LABELS),
    "label_shares": lambda: figures.label_shares({"generated": [0, 0, 1], "real": [1]}, LABELS),
    "bars": lambda: charts.bars(SHARES, title="Shares", row="class", percent=True),
}


def svg(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def words(figure: Figure) -> list[str]:
    FigureCanvasAgg(figure).draw()
    return [
        text.get_text()
        for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))
        if text.get_text()
    ]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def ticks(figure: Figure) -> list[list[str]]:
    return [[label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes]


@pytest.mark.parametrize("name", EVERY)
def test_a_figure_has_the_same_bytes_twice_and_a_title(name):
    one, other = EVERY[name](), EVERY[name]()
    assert svg(one) == svg(other)
    assert one.get_figwidth() == style.WIDTH
    assert one.get_suptitle()


def test_a_figure_says_what_it_shows():
    said = {name: repr(EVERY[name]()) for name in EVERY}
    for name, words in said.items():
        title = EVERY[name]().get_suptitle().replace("\n", " ")
        assert words.startswith(f"{title}. ") and words.endswith("."), name
    assert said["forest"] == (
        "Differences (2 seeds). Dots with intervals, points: a minus b, cola 2.0 [1.0, 3.0]; "
        "a minus b, rte -1.0 [-2.0, 0.0]; b minus c, cola 0.0 [-1.0, 1.0]; "
        "b minus c, rte 3.0 [-1.0, 7.0]."
    )
    assert said["arms"].count(";") == 12 and said["arms"].endswith("; teacher 71.0 [70.0, 72.0].")
    assert "Lines, loss by step: training from 2.00 at 10 to 0.20 at 40;" in said["learning_curve"]
    assert said["labels"].endswith("; KimCNN from 50.0 at 10 to 60.0 at 500.")
    assert said["steps"].endswith("D4.2 54.0 at 3,016; teacher 60.0 [20.0, 60.0].")
    assert "generated, half of them up to 9, nine in ten up to 11.4;" in said["histogram"]
    assert said["confusion"].endswith("bold cells: act 80.0; animal 90.0; communication 80.0.")
    assert said["bars"].startswith("Shares. Bars: act, T = 1 90.0; act, T = 4 60.0;")


def test_of_many_values_the_first_are_said_and_how_many_more_there_are():
    words = repr(figures.confusion(np.eye(20), [f"c{k}" for k in range(20)]))
    assert words.endswith("; c15 100.0; and 4 more.") and repr(Figure()).startswith("<Figure")


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_and_no_legend_covers_a_panel(name):
    figure = EVERY[name]()
    FigureCanvasAgg(figure).draw()
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) >= -0.02
    assert box.x1 <= figure.get_figwidth() + 0.02
    assert box.y1 <= figure.get_figheight() + 0.02
    for legend in figure.legends:
        assert not any(
            legend.get_window_extent().overlaps(axes.get_tightbbox()) for axes in figure.axes
        )


@pytest.mark.parametrize("name", EVERY)
def test_letters_are_large_enough(name):
    with_letters = EVERY[name]().findobj(lambda artist: hasattr(artist, "get_fontsize"))
    assert min(text.get_fontsize() for text in with_letters) >= 9


def test_a_figure_of_one_seed_says_so():
    assert "ONE seed" in figures.arms(arm_table(), seeds=1).get_suptitle()
    assert figures.arms(arm_table(), seeds=5).get_suptitle().endswith(" (5 seeds)")


def test_titles_say_what_was_found():
    """Expected numbers: of the tables at the top of this file, by hand."""

    def found(figure: Figure) -> str:
        assert max(map(len, figure.get_suptitle().split("\n"))) <= 56
        return figure.get_suptitle().replace("\n", " ")

    table = arm_table()
    assert found(figures.arms(table, seeds=5)) == (
        "Mean of 2 students: 63.0 with generated texts, 58.0 without (5 seeds)"
    )
    only = table[(table["panel"] != "KimCNN") & (table["arm"] != "generated /2")]
    assert found(figures.arms(only, seeds=2)) == (
        "63.0 with generated texts, 58.0 without (2 seeds)"
    )
    no_main = table[table["arm"] != "generation-distillation"]
    assert found(figures.arms(no_main, seeds=2, what="By strategy")) == "By strategy (2 seeds)"
    sizes = figures.sizes(curve("panel"), TEACHER, seeds=5)
    assert found(sizes) == "50.0 with 10 generated texts, 60.0 with 500 (5 seeds)"
    soft = found(figures.hard_soft(HARD_SOFT, seeds=5))
    assert soft == "Soft labels minus hard ones: +1.0, -2.0 points (5 seeds)"
    cost = found(figures.cost_quality(COST, seeds=5))
    assert cost == "KimCNN costs 1/18 of teacher, at -8.0 points (5 seeds)"
    labels = found(figures.label_shares({"generated": [0, 0, 1, 1], "real": [1, 1, 1, 1]}, LABELS))
    assert labels == (
        f"Most too often: {LABELS[0]} (+50.0 points); most too seldom: {LABELS[1]} (-50.0)"
    )
    confusion = found(figures.confusion([[8, 1, 1], [0, 9, 1], [2, 0, 8]], LABELS))
    assert confusion == "83.3 % of the labels are right; % of each gold class"
    drawn = figures.differences(DIFFERENCES.assign(panel=""), seeds=2)
    assert found(drawn) == "1 of 4 differences resolved (2 seeds)"
    assert titles_of.differences(DIFFERENCES[:1], "F1:") == "F1: 1 of 1 difference resolved"


def test_arms_stand_in_one_order_under_every_student_and_fewer_texts_before_more():
    figure = figures.arms(arm_table(), seeds=5)
    expected = [
        "labelled only",
        "generated /4",
        "generated /2",
        "generation-distillation",
        "generated + real",
    ]
    assert titles(figure) == STUDENTS
    assert ticks(figure) == [expected, expected]


def test_the_axis_says_its_range_and_names_the_line_that_is_off_it():
    figure = figures.arms(arm_table(), seeds=5)
    low, high = figure.axes[0].get_xlim()
    label = f"accuracy in % (axis: {100 * low:.0f} to {100 * high:.0f})"
    assert figure.axes[-1].get_xlabel() == f"{label}\noff the axis: majority 16.0"
    assert low < 0.54
    assert high > 0.71
    assert {"tfidf-lr 54.0", "teacher 71.0"} <= set(words(figure))


def test_a_long_label_beside_long_names_is_not_cut():
    table = pd.DataFrame({"arm": ["start: teacher, no teacher on more texts"], "value": [0.8]})
    words = "hollow: 70% could be chance; who did not get there counts as 100% of the steps"
    figure = charts.forest(table, title="Steps", label=words)
    FigureCanvasAgg(figure).draw()
    box = figure.axes[0].xaxis.label.get_window_extent().transformed(figure.transFigure.inverted())
    assert 0 <= box.x0 < box.x1 <= 1


def test_panels_of_different_ranges_say_them_in_their_titles():
    table = pd.DataFrame({"arm": "a", "panel": ["one", "two"], "value": [0.5, 0.9]})
    figure = charts.forest(table, title="F1", label="F1 in %", shared=False)
    assert titles(figure) == ["one (axis: 49 to 51)", "two (axis: 89 to 91)"]
    assert figure.axes[-1].get_xlabel() == "F1 in %"


def test_what_is_not_resolved_is_hollow_and_a_wide_interval_over_seeds_does_not_set_the_range():
    figure = differences()
    assert titles(figure) == ["a minus b", "b minus c"]
    assert ticks(figure) == [["cola", "rte"]] * 2
    dots = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 1]
    assert [line.get_markerfacecolor() == "white" for line in dots] == [False, True]
    low, high = figure.axes[0].get_xlim()
    assert -0.15 < low < -0.02 and 0.07 < high < 0.2


def test_series_differ_by_more_than_their_colour():
    for part in ("color", "marker", "hatch"):
        assert len({getattr(mark, part) for mark in style.MARKS}) == len(style.MARKS)
    assert len({str(mark.line) for mark in style.MARKS}) == len(style.MARKS)


def test_an_arm_that_no_study_names_gets_a_mark_and_a_line_by_itself():
    added = pd.DataFrame([{"panel": "KimCNN", "arm": "of mine", "value": 0.62}])
    table = pd.concat([arm_table(), added])
    assert ticks(figures.arms(table, seeds=5))[0][-1] == "of mine"
    known = charts.marks_of(["a", "b"])
    table = style.complete(pd.DataFrame({"arm": ["of mine", "b"], "value": 0.5}), "forest")
    marks = style.series_marks(table, known)
    assert marks["b"] == known["b"] and marks["of mine"] != known["b"]


def test_a_family_shares_a_mark():
    table = pd.DataFrame({"arm": ["D1", "D1, as long"], "mark": "D1", "value": 0.5})
    marks = style.series_marks(style.complete(table, "forest"), None)
    assert marks["D1"] == marks["D1, as long"] == style.MARKS[0]


def test_unfreezing_marks_what_is_kept_and_where_a_layer_is_let_in():
    figure = charts.unfreezing(traces())
    assert [title.partition(" (")[0] for title in titles(figure)] == [
        "stage 1: states, loss on states",
        "stage 2: labels + logits, errors, % of texts",
    ]
    for axes, kept in zip(figure.axes, ((40, 0.3), (0, 20.0))):  # steps are those of the stage
        let_in = {text.get_text(): text.xy[0] for text in axes.texts}
        assert let_in == {"+ readout": 0, "+ BiLSTM": 10, "+ embedding": 30}
        rings = [
            tuple(line.get_xydata()[0])
            for line in axes.get_lines()
            if line.get_fillstyle() == "none"
        ]
        assert rings == [kept, kept]  # of both arms


def test_a_strategy_given_more_steps_is_its_mark_made_hollow_and_the_teacher_a_line():
    (axes,) = figures.steps(STEPS, seeds=3).axes
    at = {line.get_label(): line for line in axes.get_lines()}
    assert set(STEPS["arm"]) <= set(at) and list(at["teacher"].get_ydata()) == [0.60, 0.60]
    dot, longer = at["D1"], at["D1, as long as D4.2"]
    assert dot.get_marker() == longer.get_marker()
    assert dot.get_markerfacecolor() != "white" == longer.get_markerfacecolor()
    assert (longer.get_xdata()[0], longer.get_ydata()[0]) == (4050, 0.52)


def test_counts_that_lie_close_to_each_other_are_no_ticks():
    """Their numbers would be printed on each other."""
    table = pd.DataFrame({"arm": ["a", "b", "c"], "value": 0.5, "x": [400, 6670, 6840]})
    words = {"title": "", "label": "", "x_label": "operations"}
    (axes,) = charts.lines(table, x="x", log=True, **words).axes
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert shown == [500, 1000, 2000, 5000]
    apart = table.assign(x=[98, 392, 1568])
    (axes,) = charts.lines(apart, x="x", log=True, **words).axes
    texts = [axes.xaxis.get_major_formatter()(tick) for tick in axes.get_xticks()]
    assert texts == ["98", "392", "1,568"]


def test_the_chosen_step_is_the_lowest_held_out_one():
    assert "chosen: step 30" in words(charts.learning_curve(history()))


def test_confusion_writes_row_shares_of_many_classes():
    figure = figures.confusion(np.eye(14) * 30 + 1, [f"class {i}" for i in range(14)])
    assert words(figure).count("70") == 14  # 31 of 44


def test_a_class_that_no_text_was_given_has_its_row():
    drawn = figures.label_shares({"generated": [1, 1], "real": [1, 1]}, LABELS)
    assert ticks(drawn) == [LABELS]


def test_sizes_draw_the_references_of_each_student():
    more = pd.DataFrame([{"panel": "KimCNN", "arm": "real unlabelled", "value": 0.66}])
    figure = figures.sizes(curve("panel"), pd.concat([TEACHER, more]), seeds=5)
    one, other = (len(axes.get_lines()) for axes in figure.axes)
    assert other == one + 1


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: figures.cost_quality(COST.drop(columns="latency"), seeds=1),
            "figure lines needs the columns arm, value, latency, panel; missing: latency",
        ),
        (
            lambda: figures.arms(arm_table().tail(3), seeds=1),
            "figure forest was given a table without rows",
        ),
    ],
)
def test_tables_that_cannot_be_drawn_are_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_figures_are_not_kept_open():
    before = plt.get_fignums()
    differences()
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (1413, "1,413"), (12_700, "12.7k"), (22_700_000, "22.7M"), (0.3, "0.3")],
)
def test_counts_are_short(value, text):
    assert style.short(value) == text


def test_an_interval_over_two_seeds_does_not_stretch_a_share_beyond_its_range():
    table = pd.DataFrame({"arm": ["a", "b"], "value": [0.5, 0.9], "low": 0.4, "high": 0.95})
    table = table.assign(seeds_low=-3.0, seeds_high=4.0)
    (axes,) = charts.forest(table, title="F1", label="F1 in %").axes
    assert axes.get_xlim()[0] >= 0 and axes.get_xlim()[1] <= 1


def test_a_dollar_sign_in_a_name_is_no_formula():
    names = ["$\\frac{$", "a $x$ b", "<b>&amp;"]
    rows = [(name, name, 0.5, 0.4, 0.6) for name in names]
    table = pd.DataFrame(rows, columns=["panel", "arm", "value", "low", "high"])
    with plt.rc_context():
        style.use_style()
        figure = Figure()
        axes = figure.subplots()
        axes.set_title(names[0])
        axes.barh(table["arm"], table["value"])
        figure.savefig(io.BytesIO(), format="svg")
        shown = [label.get_text() for label in axes.get_yticklabels()]
        assert shown == names and not any(
            label.get_parse_math() for label in axes.get_yticklabels()
        )


def test_the_matrix_has_in_bold_what_a_column_says_or_the_diagonal() -> None:
    table = SPUN[SPUN["panel"] == "d"].assign(known=[True, False, True, False])

    def weights(**more: str) -> list[str]:
        figure = charts.matrix(table, title="", rows="trained on", columns="tested on", **more)
        (axes,) = [axes for axes in figure.axes if axes.images]
        return [text.get_fontweight() for text in axes.texts]

    assert weights() == ["bold", "normal", "normal", "bold"]
    assert weights(bold="known") == ["bold", "normal", "bold", "normal"]
