"""Figures of texts, of a network's training and of its errors.

Each takes plain tables and returns a Figure.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from gdlib.charts.style import (
    HATCHES,
    errors,
    legend_below,
    log_ticks,
    mark,
    need,
    panels,
    percent,
    title,
)


def class_counts(counts: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Texts by class and part of the split.

    ``counts``: a row a ``split``, a column a class; NaN where classes are not known.
    """
    need(counts, ["split", *labels], "class_counts")
    figure, (axes,) = panels(height=1.5 + 0.34 * len(labels))
    left = np.zeros(len(labels))
    for place, row in enumerate(counts.dropna(subset=list(labels)).to_dict("records")):
        look, texts = mark(place), np.array([row[name] for name in labels], dtype=float)
        axes.barh(
            list(labels),
            texts,
            left=left,
            label=row["split"],
            color=look.color,
            hatch=look.hatch,
            edgecolor="white",
        )
        left += texts
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("texts")
    legend_below(figure, axes, 4)
    title(figure, "Texts by class and part")
    return figure


def lengths(counts: Mapping[str, ArrayLike]) -> Figure:
    """Distribution of words a text. ``counts``: name to word counts, such as generated and real."""
    figure, (axes,) = panels(height=3.4)
    longest = max(float(np.quantile(np.asarray(one), 0.99)) for one in counts.values())
    step = max(round(longest / 30), 1)  # whole words, or the bars would comb
    bins = np.arange(0, longest + 2 * step, step) - 0.5
    for place, (name, one) in enumerate(counts.items()):
        look = mark(place)
        inside = np.minimum(np.asarray(one), bins[-1])
        weights = np.full(inside.shape, 1 / inside.size)
        axes.hist(
            inside,
            bins,
            weights=weights,
            histtype="step",
            color=look.color,
            linestyle=look.line,
            linewidth=2,
            label=name,
        )
    axes.set_xlabel("words a text (the longest 1 % stand in the last bin)")
    axes.set_ylabel("% of texts")
    percent(axes.yaxis)
    axes.legend()
    title(figure, "Length of texts")
    return figure


def tfidf_curve(table: pd.DataFrame, *, seeds: int = 1) -> Figure:
    """TF-IDF + logistic regression by gold labels a class.

    ``table``: ``labels_per_class``, ``accuracy``, maybe ``low``, ``high``.
    """
    need(table, ["labels_per_class", "accuracy"], "tfidf_curve")
    table = table.sort_values("labels_per_class")
    figure, (axes,) = panels(height=3.4)
    look = mark(0)
    axes.errorbar(
        table["labels_per_class"],
        table["accuracy"],
        errors(table),
        marker=look.marker,
        color=look.color,
        capsize=3,
    )
    log_ticks(axes, table["labels_per_class"])
    percent(axes.yaxis)
    axes.set_xlabel("gold labels a class (log scale)")
    axes.set_ylabel("accuracy in %")
    title(figure, "TF-IDF + logistic regression", seeds)
    return figure


def learning_curve(history: pd.DataFrame, *, what: str = "") -> Figure:
    """Loss in training. ``history``: ``step``, ``train_loss`` and ``held_out`` (NaN where it was
    not measured).

    The step with the lowest held-out loss, whose weights are the ones that count, is marked.
    """
    need(history, ["step", "train_loss", "held_out"], "learning_curve")
    figure, (axes,) = panels(height=3.6)
    trained, held = history.dropna(subset="train_loss"), history.dropna(subset="held_out")
    axes.plot(
        trained["step"], trained["train_loss"], color="#999999", linewidth=1.2, label="training"
    )
    look = mark(0)
    axes.plot(
        held["step"], held["held_out"], color=look.color, marker=look.marker, label="held out"
    )
    if len(held):
        best = held.loc[held["held_out"].idxmin()]
        axes.axvline(
            best["step"],
            color="black",
            linestyle=":",
            linewidth=1.5,
            label=f"chosen: step {best['step']:.0f}",
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.legend()
    title(figure, f"Training: {what}" if what else "Training")
    return figure


def confusion(matrix: ArrayLike, labels: Sequence[str]) -> Figure:
    """Of the texts of a gold class (row), the share that was given each label, in %.

    ``matrix``: counts ``[classes, classes]``.
    """
    matrix = np.asarray(matrix, dtype=float)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    many = len(labels) > 8
    figure, (axes,) = panels(height=4.6 if not many else 1.6 + 0.36 * len(labels))
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(shares >= 0.005):
        ink = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column,
            row,
            f"{100 * shares[row, column]:.0f}",
            ha="center",
            va="center",
            color=ink,
            fontsize=9 if many else 12,
        )
    axes.set_xticks(
        range(len(labels)), labels, rotation=90 if many else 30, ha="center" if many else "right"
    )
    axes.set_yticks(range(len(labels)), labels)
    axes.grid(visible=False)
    axes.set_xlabel("given label")
    axes.set_ylabel("gold label")
    title(figure, "Given labels, % of each gold class")
    return figure


def calibration(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Accuracy by confidence for some networks.

    ``tables``: name to the table of :func:`gdlib.compare.metrics.reliability`.
    """
    figure, (axes, below) = panels(2, 1, height=5.0, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color="#777777", linewidth=1, linestyle="--")
    for place, (name, table) in enumerate(tables.items()):
        look = mark(place)
        axes.plot(
            table["confidence"],
            table["accuracy"],
            marker=look.marker,
            linestyle=look.line,
            color=look.color,
            label=name,
        )
        share = table["texts"] / table["texts"].sum()
        edges = [*table["low"], table["high"].iloc[-1]] if len(table) else [0, 1]
        below.stairs(share, edges, color=look.color, linestyle=look.line, linewidth=2)
    for one in (axes.xaxis, axes.yaxis, below.yaxis):
        percent(one)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="right, %")
    below.set(ylabel="% of texts", xlabel="confidence in %")
    if any(tables):
        axes.legend(loc="upper left")
    title(figure, "Confidence and accuracy")
    return figure


def reliability(table: pd.DataFrame) -> Figure:
    """:func:`calibration` of one network."""
    return calibration({"": table})


def funnel(counts: Mapping[str, int] | pd.Series) -> Figure:
    """What became of the generated texts.

    ``counts``: fate to count, in the order of the filters; ``kept`` is drawn last.
    """
    counts = dict(counts)
    total = sum(counts.values())
    if not total:
        raise ValueError("figure funnel was given no texts")
    rows = {
        "generated": total,
        **{fate: count for fate, count in counts.items() if fate != "kept"},
        "kept": counts.get("kept", 0),
    }
    figure, (axes,) = panels(height=1.2 + 0.36 * len(rows))
    for name, count in rows.items():
        whole = name in ("generated", "kept")
        axes.barh(
            name,
            count,
            color=mark(0).color if whole else mark(1).color,
            hatch="" if whole else HATCHES[1],
            edgecolor="white",
        )
        axes.text(
            count + total * 0.01,
            name,
            f"{count:,} ({100 * count / total:.1f} %)",
            va="center",
            fontsize=11,
        )
    axes.invert_yaxis()
    axes.set_xlim(0, total * 1.32)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    title(figure, "From generated to kept texts")
    return figure


def label_distribution(generated: ArrayLike, real: ArrayLike, labels: Sequence[str]) -> Figure:
    """Share of texts by the teacher's label, generated beside real.

    ``generated``, ``real``: class indices of the texts.
    """
    figure, (axes,) = panels(height=1.5 + 0.45 * len(labels))
    places = np.arange(len(labels))
    for place, (name, one) in enumerate({"generated": generated, "real": real}.items()):
        look = mark(place)
        shares = np.bincount(np.asarray(one), minlength=len(labels)) / max(len(np.asarray(one)), 1)
        axes.barh(
            places + 0.4 * place - 0.2,
            shares,
            0.38,
            label=name,
            color=look.color,
            hatch=look.hatch,
            edgecolor="white",
        )
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    percent(axes.xaxis)
    axes.set_xlabel("% of texts")
    legend_below(figure, axes, 2)
    title(figure, "Labels given by the teacher")
    return figure


def entropy_histogram(generated: ArrayLike, real: ArrayLike) -> Figure:
    """Entropy of the teacher's distribution in nats, generated texts against real ones."""
    figure, (axes,) = panels(height=3.4)
    both = [np.asarray(one, dtype=float) for one in (generated, real)]
    bins = np.linspace(0, max(max((one.max() for one in both if one.size), default=0), 0.1), 31)
    for place, (name, one) in enumerate(zip(("generated", "real"), both, strict=True)):
        look = mark(place)
        weights = np.full(one.shape, 1 / max(one.size, 1))
        axes.hist(
            one,
            bins,
            weights=weights,
            histtype="step",
            color=look.color,
            linestyle=look.line,
            linewidth=2,
            label=name,
        )
    axes.set_xlabel("entropy of the teacher's distribution, nats")
    axes.set_ylabel("% of texts")
    percent(axes.yaxis)
    axes.legend()
    title(figure, "How unsure the teacher is")
    return figure


def diversity(table: pd.DataFrame) -> Figure:
    """Measures of diversity, one panel each.

    ``table``: ``texts`` (what they are) and one column a measure.
    """
    need(table, ["texts"], "diversity")
    measures = [name for name in table.columns if name != "texts"]
    columns = min(len(measures), 3)
    rows = -(-len(measures) // columns)
    figure, axes = panels(rows, columns, height=0.5 + rows * (0.8 + 0.4 * len(table)), sharey=True)
    for one, measure in zip(axes, measures, strict=False):
        for place, (name, value) in enumerate(zip(table["texts"], table[measure], strict=True)):
            look = mark(place)
            one.barh(str(name), value, color=look.color, hatch=look.hatch, edgecolor="white")
            one.text(
                0,
                place,
                f" {value:.3g}",
                va="center",
                fontsize=11,
                bbox={"color": "white", "pad": 1, "alpha": 0.85},
            )
        one.set_title(measure.replace("_", "-"), fontweight="normal", fontsize=12)
        one.grid(visible=False)
        one.set_xlim(0, max(float(table[measure].max()) * 1.05, 1e-9))
        one.set_xticks([])
        one.tick_params(length=0)
    axes[0].invert_yaxis()
    for empty in axes[len(measures) :]:
        empty.set_visible(False)
    title(figure, "Diversity of texts")
    return figure
