"""Figures: the same bytes twice, all names on them, series told apart without colour, honest titles
and axes.
"""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gdlib.charts import figures
from gdlib.charts import style as drawing
from gdlib.compare import metrics

LABELS = ["act", "animal", "communication"]
STUDENTS = ["BlendCNN", "KimCNN"]
VALUES = {
    "generated + real": 0.67,
    "labelled only": 0.58,
    "generated /4": 0.6,
    "generation-distillation": 0.63,
    "generated /2": 0.61,
}
REAL = pd.DataFrame([{"student": "teacher", "arm": "teacher", "accuracy": 0.71}])


def arm_table() -> pd.DataFrame:
    rows = [
        (student, arm, value, value - 0.01, value + 0.01)
        for student in STUDENTS
        for arm, value in VALUES.items()
    ]
    rows += [
        ("majority", "baseline", 0.16, 0.16, 0.16),
        ("tfidf-lr", "baseline", 0.54, 0.53, 0.55),
        ("teacher", "teacher", 0.71, 0.7, 0.72),
    ]
    return pd.DataFrame(rows, columns=["student", "arm", "accuracy", "low", "high"])


def curve(column: str) -> pd.DataFrame:
    rows = [
        (one, x, 0.5 + 0.05 * i, 0.49 + 0.05 * i, 0.52 + 0.05 * i)
        for one in STUDENTS
        for i, x in enumerate((10, 50, 500))
    ]
    return pd.DataFrame(
        rows, columns=["student" if column == "size" else "arm", column, "accuracy", "low", "high"]
    )


def history() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "step": [10, 20, 30, 40],
            "train_loss": [2, 1, 0.5, 0.2],
            "held_out": [2, 1.4, 1.2, np.nan],
        }
    )


def calibrated() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    confidence = rng.random(300)
    return metrics.reliability(confidence, rng.random(300) < confidence)


def traces() -> pd.DataFrame:
    """Two stages with unfreezing, and the same without; the second stage keeps what it began with."""
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
        "accuracy": [0.71, 0.63],
        "parameters": [22_700_000, 1_100_000],
    }
)
COUNTS = pd.DataFrame(
    {
        "split": ["train", "transfer", "test"],
        "act": [80, np.nan, 200],
        "animal": [80, np.nan, 180],
        "communication": [80, np.nan, 210],
    }
)
FUNNEL = {"kept": 80, "empty": 1, "cut off": 12, "in test set": 7}

STEPS = pd.DataFrame(
    {
        "name": ["teacher", "D0", "D1", "D4.1", "D4.2", "D1, as long as D4.2"],
        "steps": [0, 300, 450, 1016, 3016, 4050],
        "accuracy": [0.60, 0.28, 0.48, 0.51, 0.54, 0.52],
    }
)

EVERY = {
    "arms": lambda: figures.arms(arm_table(), seeds=5),
    "size_curve": lambda: figures.size_curve(curve("size"), REAL, seeds=5),
    "labels_curve": lambda: figures.labels_curve(curve("labels_per_class"), seeds=5),
    "hard_soft": lambda: figures.hard_soft(pd.DataFrame({"student": STUDENTS, "hard": [0.6, 0.62], "soft": [0.61, 0.6]}), seeds=5),
    "cost_quality": lambda: figures.cost_quality(COST, seeds=5),
    "unfreezing": lambda: figures.unfreezing(traces()),
    "steps": lambda: figures.steps(STEPS.assign(low=STEPS["accuracy"] - 0.02, high=STEPS["accuracy"] + 0.02), seeds=3),
    "tfidf_curve": lambda: figures.tfidf_curve(pd.DataFrame({"labels_per_class": [10, 100], "accuracy": [0.4, 0.5]}), seeds=2),
    "learning_curve": lambda: figures.learning_curve(history(), what="teacher"),
    "confusion": lambda: figures.confusion([[8, 1, 1], [0, 9, 1], [2, 0, 8]], LABELS),
    "calibration": lambda: figures.calibration({"teacher": calibrated(), "KimCNN": calibrated()}),
    "reliability": lambda: figures.reliability(calibrated()),
    "funnel": lambda: figures.funnel(FUNNEL),
    "class_counts": lambda: figures.class_counts(COUNTS, LABELS),
    "label_distribution": lambda: figures.label_distribution([0, 0, 1, 2], [0, 1, 1, 2], LABELS),
    "entropy_histogram": lambda: figures.entropy_histogram([0.1, 0.5, 0.9], [0.2, 0.2]),
    "lengths": lambda: figures.lengths({"generated": [3, 9, 12], "real": [5, 40]}),
    "diversity": lambda: figures.diversity(pd.DataFrame({"texts": ["generated", "real"], "distinct_1": [0.3, 0.4], "self_bleu": [18.0, 12.0]})),
}  # fmt: skip


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


def test_every_figure_function_is_drawn_here():
    others = {"ARMS", "arm_order", "use_style"}
    assert set(figures.__all__) - others == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_a_figure_has_the_same_bytes_twice_and_a_title(name):
    one, other = EVERY[name](), EVERY[name]()
    assert svg(one) == svg(other)
    assert one.get_figwidth() == drawing.WIDTH
    assert one.get_suptitle()


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
    assert (
        min(
            text.get_fontsize()
            for text in EVERY[name]().findobj(lambda artist: hasattr(artist, "get_fontsize"))
        )
        >= 9
    )


def test_a_figure_of_one_seed_says_so():
    assert "ONE seed" in figures.arms(arm_table(), seeds=1).get_suptitle()
    assert figures.arms(arm_table(), seeds=5).get_suptitle() == "Accuracy by arm (5 seeds)"


def test_arms_stand_in_the_fixed_order_under_every_student():
    figure = figures.arms(arm_table(), seeds=5)
    expected = [
        "labelled only",
        "generated /4",
        "generated /2",
        "generation-distillation",
        "generated + real",
    ]
    assert figures.arm_order(["of mine", *VALUES]) == [*expected, "of mine"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == STUDENTS
    assert all(
        [label.get_text() for label in axes.get_yticklabels()] == expected for axes in figure.axes
    )


def test_the_axis_says_its_range_and_names_the_line_that_is_off_it():
    figure = figures.arms(arm_table(), seeds=5)
    low, high = figure.axes[0].get_xlim()
    assert (
        figure.axes[-1].get_xlabel()
        == f"accuracy in % (axis: {100 * low:.0f} to {100 * high:.0f}; majority: 16.0)"
    )
    assert low < 0.54
    assert high > 0.71
    assert {"tfidf-lr", "teacher"} <= set(words(figure))


def test_series_differ_by_more_than_their_colour():
    for part in ("color", "marker", "hatch"):
        assert len({getattr(mark, part) for mark in drawing.MARKS}) == len(drawing.MARKS)
    assert len({str(mark.line) for mark in drawing.MARKS}) == len(drawing.MARKS)


def test_an_arm_has_the_same_mark_in_every_figure():
    assert drawing.arm_mark("generated /4") == drawing.arm_mark("generation-distillation")
    assert len({drawing.arm_mark(arm).marker for arm in (*drawing.ARMS, "teacher")}) == 7


def test_unfreezing_marks_what_is_kept_and_where_a_layer_is_let_in():
    figure = figures.unfreezing(traces())
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "stage 1: states",
        "stage 2: labels + logits",
    ]
    for axes, kept in zip(figure.axes, ((40, 0.3), (0, 0.2))):  # steps are those of the stage
        let_in = {text.get_text(): text.xy[0] for text in axes.texts}
        assert let_in == {"+ readout": 0, "+ BiLSTM": 10, "+ embedding": 30}
        rings = [
            tuple(line.get_xydata()[0])
            for line in axes.get_lines()
            if line.get_fillstyle() == "none"
        ]
        assert rings == [kept, kept]  # of both arms
    assert (
        figure.axes[0].get_ylabel() == "loss on states"
        and figure.axes[1].get_ylabel() == "errors, % of texts"
    )


def test_a_strategy_given_more_steps_is_its_mark_made_hollow_and_the_teacher_a_line():
    (axes,) = figures.steps(STEPS, seeds=3).axes
    at = {line.get_label(): line for line in axes.get_lines()}
    assert set(at) == set(STEPS["name"]) and list(at["teacher"].get_ydata()) == [0.60, 0.60]
    one, longer = at["D1"], at["D1, as long as D4.2"]
    assert (one.get_marker(), one.get_fillstyle()) == (
        longer.get_marker(),
        "full",
    ) and longer.get_fillstyle() == "none"
    assert (longer.get_xdata()[0], longer.get_ydata()[0]) == (4050, 0.52)


def test_strategies_have_marks_of_their_own_and_variations_that_of_their_strategy():
    assert (
        len(
            {
                drawing.arm_mark(name).marker
                for name in ("D0", "D1", "D2", "D3.1", "D3.2", "D4.1", "D4.2", "hard")
            }
        )
        == 8
    )
    assert drawing.arm_mark("D4.2, layer 2") == drawing.arm_mark("D4.2")


def test_the_chosen_step_is_the_lowest_held_out_one():
    assert "chosen: step 30" in words(figures.learning_curve(history()))


def test_the_funnel_writes_counts_and_shares_and_ends_with_what_is_kept():
    figure = figures.funnel(FUNNEL)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "generated",
        "empty",
        "cut off",
        "in test set",
        "kept",
    ]
    assert {"100 (100.0 %)", "7 (7.0 %)", "80 (80.0 %)"} <= set(words(figure))


def test_confusion_writes_row_shares_of_many_classes():
    figure = figures.confusion(np.eye(14) * 30 + 1, [f"class {i}" for i in range(14)])
    assert words(figure).count("70") == 14  # 31 of 44


def test_splits_whose_classes_are_unknown_are_left_out():
    assert "transfer" not in words(figures.class_counts(COUNTS, LABELS))


def test_size_curve_draws_the_references_of_each_student():
    references = pd.concat(
        [REAL, pd.DataFrame([{"student": "KimCNN", "arm": "real unlabelled", "accuracy": 0.66}])]
    )
    one, other = figures.size_curve(curve("size"), references, seeds=5).axes
    assert [len(axes.get_lines()) for axes in (one, other)] == [
        len(one.get_lines()),
        len(one.get_lines()) + 1,
    ]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: figures.arms(arm_table().drop(columns="arm"), seeds=1),
            "figure arms needs the columns .*; missing: arm",
        ),
        (
            lambda: figures.arms(arm_table().tail(3), seeds=1),
            "figure arms was given a table without rows",
        ),
        (lambda: figures.funnel({"kept": 0}), "figure funnel was given no texts"),
    ],
)
def test_tables_that_cannot_be_drawn_are_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_figures_are_not_kept_open():
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    figures.funnel(FUNNEL)
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("value", "text"), [(950, "950"), (1200, "1.2k"), (22_700_000, "22.7M"), (0.3, "0.3")]
)
def test_counts_are_short(value, text):
    assert drawing.short(value) == text
