"""The report of a measurement: its table, as a page and as data, and one figure."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks import ROWS
from benchmarks.timing import COLUMNS, Lines
from gdlib.charts.style import BLACK, MARKS, finish, log_axis, panels
from gdlib.core.wording import grid
from gdlib.run.publishing import new_report

FIGURE = "figures/ratios.svg"
READ = """\
A ratio above 1 says that ours is faster, smaller or more often right. Each number is the median of
{rounds} rounds, in which the contestants took turns; the figure shows the ratios. Times are of this
machine and this hour: only ratios within one table mean anything. The peak is a product of two
large matrices; a share of it counts the operations of the texts and not those of padding. Memory
is the most that a process of its own held.
"""


def table_of(lines: Lines) -> pd.DataFrame:
    """The lines of all rows as one table."""
    return pd.DataFrame(lines, columns=list(COLUMNS))


def ratios(table: pd.DataFrame) -> Figure:
    """A dot per line, row by row, on a logarithmic axis; 1 is a tie."""
    shown = table.dropna(subset="ratio")
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
    return finish(figure, "How ours compares")


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
    text += [f"![Ratios of all rows.]({FIGURE})\n", grid(table)]
    with new_report(folder) as new:
        (new / FIGURE).parent.mkdir()
        ratios(table).savefig(new / FIGURE)
        table.to_csv(new / "results.csv", index=False)
        (new / "report.md").write_text("\n".join(text), "utf-8")
    return folder / "report.md"
