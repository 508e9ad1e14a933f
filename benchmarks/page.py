"""The report of a measurement: its table, as a page and as data, and one figure."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks import ROWS
from benchmarks.timing import COLUMNS, Lines
from gdlib.charts.style import BLACK, MARKS, finish, log_axis, panels
from gdlib.charts.words import described
from gdlib.core.wording import grid
from gdlib.run.publishing import new_report

FIGURE, GROWTH, PEAK = (f"figures/{name}.svg" for name in ("ratios", "growth", "peak"))
PLANNED = "paper"
"""The row whose values are counted and not measured."""
READ = """\
A ratio above 1 says that ours is faster, smaller or more often right. Each number is the median of
{rounds} rounds, in which the contestants took turns; the figure shows the ratios. Times are of this
machine and this hour: only ratios within one table mean anything. The peak is torch's product of
two large matrices, which another library may surpass; a share of it counts the operations of the
texts and not those of padding. Memory is the most that a process of its own held.
"""
COUNTED = """\
These are operations counted and not times measured: hours of this machine at its measured peak,
which is the least it can take, and of a card of 100 TFLOP/s that reaches a third of it. A card of
another peak takes in proportion. The networks are those above; the paper's are larger.
"""


def table_of(lines: Lines) -> pd.DataFrame:
    """The lines of all rows as one table."""
    return pd.DataFrame(lines, columns=list(COLUMNS))


def ratios(table: pd.DataFrame) -> Figure | None:
    """A dot per line, row by row, on a logarithmic axis; 1 is a tie."""
    shown = table[table["row"] != PLANNED].dropna(subset="ratio")
    if shown.empty:
        return None
    names = list(shown["row"].unique())
    counts = [int((shown["row"] == name).sum()) for name in names]
    height = 1.2 + 0.28 * sum(counts) + 0.5 * len(names)
    figure, axes_of = panels(names, height, sharex=True, height_ratios=counts)
    for name, axes in axes_of.items():
        part = shown[shown["row"] == name]
        labels = [f"{ours} / {other}" for ours, other in zip(part["ours"], part["against"])]
        axes.plot(part["ratio"], range(len(part)), MARKS[0].marker, color=MARKS[0].color)
        axes.set_yticks(range(len(part)), labels, fontsize=8)
        axes.set_ylim(len(part) - 0.5, -0.5)
        axes.axvline(1, **BLACK.of_line, linewidth=1)
    log_axis(axes, shown["ratio"])
    axes.set_xlabel("ratio: above 1 ours is better")
    of = (f"{row['row']}, {row['ours']} / {row['against']}" for row in shown.to_dict("records"))
    seen = [f"{name} {ratio:.2f}" for name, ratio in zip(of, shown["ratio"])]
    return finish(figure, "How ours compares", described("Dots, the ratio of each", seen))


def growth(table: pd.DataFrame) -> Figure | None:
    """Cost per text, or per student, as they become more: a panel per kind of work."""
    shown = table.dropna(subset="our number")
    if shown.empty:
        return None
    points = {}
    for who, value, number in (
        ("ours", "our value", "our number"),
        ("against", "its value", "its number"),
    ):
        for row, name, unit, count, cost in shown[["row", who, "unit", number, value]].values:
            kind, _, workers = name.partition(", ")
            panel = row if row == "students" else kind.split()[0]
            per = "student" if row == "students" else "text"
            points[panel, f"{unit} per {per}", workers, count] = cost
    kinds = list(dict.fromkeys((panel, label) for panel, label, _, _ in points))
    figure, axes_of = panels([panel for panel, _ in kinds], 2.9, columns=len(kinds))
    for panel, label in kinds:
        axes = axes_of[panel]
        own = {(arm, n): cost for (where, _, arm, n), cost in points.items() if where == panel}
        for arm, mark in zip(dict.fromkeys(arm for arm, _ in own), MARKS):
            line = sorted((n, cost) for (which, n), cost in own.items() if which == arm)
            look = {"linestyle": "-", "color": mark.color, "label": arm or None}
            axes.plot(*zip(*line), mark.marker, **look)
        log_axis(axes, [n for _, n in own])
        axes.set_ylim(0, 1.15 * max(own.values()))
        axes.set_ylabel(label)
        axes.set_xlabel("students" if panel == "students" else "texts")
    seen = [f"{panel} {arm} {n:,.0f}: {cost:.3g}" for (panel, _, arm, n), cost in points.items()]
    return finish(figure, "Cost of one as they become more", described("Lines, the cost", seen))


def shares(table: pd.DataFrame) -> Figure | None:
    """How much of the measured peak, which is the line, each contestant reaches."""
    found = {}
    for name, share in (("ours", "our % of peak"), ("against", "its % of peak")):
        for row, who, value in table[["row", name, share]].dropna().itertuples(index=False):
            found[f"{row}: {who}"] = value
    if not found:
        return None
    figure, axes_of = panels([""], 1.2 + 0.28 * len(found))
    (axes,) = axes_of.values()
    axes.plot(list(found.values()), range(len(found)), MARKS[0].marker, color=MARKS[0].color)
    axes.set_yticks(range(len(found)), list(found), fontsize=8)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.axvline(100, **BLACK.of_line, linewidth=1)
    axes.set_xlim(0, 1.05 * max(100, *found.values()))
    axes.set_xlabel("% of the measured peak, which is the line")
    seen = described("Dots, % of the peak", [f"{who} {of:.0f}" for who, of in found.items()])
    return finish(figure, "How near each comes to the machine's peak", seen)


def write(table: pd.DataFrame, folder: Path, about: str, rounds: int) -> Path:
    """Leave ``report.md``, ``results.csv`` and the figure in a folder, in the place of a report
    that is there.

    Args:
        table: of :func:`table_of`.
        folder: such as ``reports/performance``.
        about: a sentence on the machine, and on what was measured with.
        rounds: how often each contestant was measured.

    Raises:
        GdlibError: the folder holds something that is no report.
    """
    rows = "".join(f"- **{name}**: {ROWS.help[name]}\n" for name in table["row"].unique())
    text = ["# Performance\n", f"{about}\n", READ.format(rounds=rounds), rows]
    figures = {FIGURE: ratios(table), GROWTH: growth(table), PEAK: shares(table)}
    made = {place: figure for place, figure in figures.items() if figure}
    text += [f"![{figure!r}]({place})\n" for place, figure in made.items()]
    text.append(grid(table[table["row"] != PLANNED].dropna(axis=1, how="all")))
    if len(planned := table[table["row"] == PLANNED].dropna(axis=1, how="all")):
        text += ["\n## At the paper's size\n", f"{COUNTED}\n", grid(planned)]
    with new_report(folder) as new:
        (new / FIGURE).parent.mkdir()
        for place, figure in made.items():
            figure.savefig(new / place, metadata={"Date": None})
        table.to_csv(new / "results.csv", index=False)
        (new / "report.md").write_text("\n".join(text), "utf-8")
    return folder / "report.md"
