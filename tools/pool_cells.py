"""Study 1 over several splits of the data, from what is left of each cell (a corpus and a seed).

A cell has a teacher, a generator, samples and students of its own, and takes a quarter of an hour
and more. So cells are run where and when there is a machine, and of each the predicted class of
every test text is kept, a file of a few kilobytes. The report is made from these files alone::

    python tools/pool_cells.py reports/splits                    # make the report again
    python tools/pool_cells.py reports/splits --add FOLDER NAME  # after adding a cell

``FOLDER`` holds what ``gdlib.compare.results.Results.save`` wrote, as the artifact ``tested`` of a
run's store does; ``NAME`` is the corpus. A cell that is added later counts like every other.
"""

import argparse
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gdlib import charts
from gdlib.charts.style import Mark, use_style
from gdlib.compare import stats, tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY, BALANCED
from gdlib.core.wording import grid, readable
from gdlib.networks.arms import MAIN_ARM
from gdlib.studies.generation.compare import ALONE, COMPARISON, HARD, REAL, SCRAPS

LABELLED = "distilled on labelled"
QUESTIONS = (
    *((MAIN_ARM, arm) for arm in (LABELLED, ALONE, SCRAPS, HARD)),
    (REAL, MAIN_ARM),
    (REAL, LABELLED),
)
ARMS = ("tfidf-lr", "tfidf-svm", "static-lr", "encoder-lr", ALONE, LABELLED, SCRAPS, MAIN_ARM)
ARMS = (*ARMS, HARD, REAL, tables.TEACHER)


INTRODUCTION = """\
A student of 1.1 million parameters (KimCNN) and 100 labels per class. Every split has labelled
texts, a teacher, a generator, samples and students of its own; the test texts are the same. Made
from the files in `cells/` by `python tools/pool_cells.py`; a later cell counts like every other."""
DIFFERENCES = """\
Points of accuracy, paired, with 95% intervals over test texts. *Resolved* means that zero lies
outside the joint interval over texts and splits, with Holm's correction for all rows of this
table."""


def keep(results: Results, path: Path) -> None:
    """Write a cell: the gold and the predicted classes, a byte each, and the table of its models.

    Raises:
        ValueError: more than 256 classes.
    """
    columns = {"gold": results.items["gold"].to_numpy()}
    columns |= {f"row {row}": answers for row, answers in enumerate(results.outputs)}
    if max(column.max() for column in columns.values()) > 255:
        raise ValueError("a cell has at most 256 classes")
    table = pa.table({name: pa.array(column.astype(np.uint8)) for name, column in columns.items()})
    models = results.table.drop(columns="corpus", errors="ignore").to_json(orient="split")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"models": models}), path, compression="zstd")


def read(path: Path) -> Results:
    """What :func:`keep` wrote."""
    table = pq.read_table(path)
    models = pd.read_json(io.StringIO(table.schema.metadata[b"models"].decode()), orient="split")
    frame = table.to_pandas().astype(np.int16)
    return Results(models, frame.drop(columns="gold").to_numpy().T, frame[["gold"]])


def corpora(folder: Path) -> dict[str, Results]:
    """The cells of every corpus, stacked over their seeds; the models that all its cells have."""
    found: dict[str, list[Results]] = {}
    for path in sorted(folder.glob("*.parquet")):
        found.setdefault(path.stem.rpartition("-s")[0], []).append(read(path))
    stacked = {}
    for corpus, cells in found.items():
        models = set.intersection(
            *(set(map(_model, cell.table.to_dict("records"))) for cell in cells)
        )
        stacked[corpus] = Results.stack([_only(cell, models) for cell in cells])
    return stacked


def _model(row: Mapping[str, object]) -> tuple[object, ...]:
    return row["student"], row["arm"], row["student_seed"]


def _only(cell: Results, models: set[tuple[object, ...]]) -> Results:
    wanted = [_model(row) in models for row in cell.table.to_dict("records")]
    table = cell.table[wanted].reset_index(drop=True)
    return Results(table, cell.outputs[np.flatnonzero(wanted)], cell.items)


def differences(results: Mapping[str, Results]) -> pd.DataFrame:
    """The paired differences on every corpus, all of them one family of Holm's correction."""
    rows = []
    for corpus, of in results.items():
        run = set(of.table["arm"])
        pairs = [pair for pair in QUESTIONS if {*pair} <= run]
        rows.append(COMPARISON.differences(of, pairs, pooled=True).assign(panel=corpus))
    return tables.decided(pd.concat(rows, ignore_index=True))


def retention(of: Results) -> tuple[float, float, float]:
    """The share of its teacher's accuracy that the student keeps: the mean over splits, and its
    95% interval by Student's t (NaN with one split).
    """
    table = of.table
    student = table[table["arm"] == MAIN_ARM].groupby("seed")["accuracy"].mean()
    teacher = table[table["arm"] == tables.TEACHER].groupby("seed")["accuracy"].mean()
    shares = (student / teacher).to_numpy()
    return float(shares.mean()), *stats.over_seeds(shares)


def closed(of: Results) -> tuple[float, float]:
    """Of the gap in balanced accuracy between the teacher's labels on the labelled texts and as
    many real texts: how wide it is, and what share of it generated texts close.
    """
    scores = of.scores(BALANCED)
    means = pd.Series(scores).groupby(of.table["arm"].to_numpy()).mean()
    gap = means[REAL] - means[LABELLED]
    return float(gap), float((means[MAIN_ARM] - means[LABELLED]) / gap) if gap else float("nan")


def summary(results: Mapping[str, Results]) -> pd.DataFrame:
    """A row per corpus: how many splits, what the student keeps, what is closed of the gap."""
    rows = []
    for corpus, of in results.items():
        share, low, high = retention(of)
        gap, part = closed(of)
        over = "" if np.isnan(low) else f" [{low:.1%}, {high:.1%}]"
        rows.append(
            {
                "corpus": corpus,
                "splits": of.table["seed"].nunique(),
                "kept of the teacher's accuracy [95% over splits]": f"{share:.1%}{over}",
                "gap to real texts, balanced accuracy": f"{100 * gap:.1f} points",
                "share of it closed": f"{part:.0%}" if gap > 0.005 else "no gap to speak of",
            }
        )
    return pd.DataFrame(rows)


def accuracies(results: Mapping[str, Results]) -> pd.DataFrame:
    """Arms by corpus: accuracy in %, the mean over splits and student seeds."""
    columns = {}
    for corpus, of in results.items():
        means = pd.Series(of.scores(ACCURACY)).groupby(of.table["arm"].to_numpy()).mean()
        columns[corpus] = means.reindex(ARMS).map("{:.1%}".format).replace("nan%", "–")
    return pd.DataFrame(columns).rename_axis("way of training").reset_index()


def report(folder: Path) -> None:
    """Write ``report.md``, its tables and its figure from the cells beside it."""
    results = corpora(folder / "cells")
    gaps = differences(results)
    for name in ("tables", "figures"):
        (folder / name).mkdir(exist_ok=True)
    gaps.to_csv(folder / "tables" / "differences.csv", index=False)
    use_style()
    figure = charts.forest(
        gaps.assign(arm=gaps["question"]),
        title=f"{gaps['resolved'].sum()} of {len(gaps)} differences resolved over splits",
        label="points of accuracy",
        seeds=min(of.replicates for of in results.values()),
        marks={question: Mark("#000000", "o", "-") for question in gaps["question"]},
        zero=True,
    )
    figure.savefig(folder / "figures" / "differences.svg")
    parts = [
        "# Study 1 over splits of the data",
        INTRODUCTION,
        grid(summary(results)),
        "## Differences",
        DIFFERENCES,
        "![Paired differences on every corpus, with intervals over test texts (thick) and over "
        "splits (thin).](figures/differences.svg)",
        grid(readable(gaps)),
        "## Accuracy",
        grid(accuracies(results)),
    ]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("report", type=Path, help="the report's folder; its cells/ hold the cells")
    parser.add_argument("--add", nargs=2, metavar=("FOLDER", "NAME"), help="a cell to add first")
    given = parser.parse_args(arguments)
    if given.add:
        results = Results.load(Path(given.add[0]))
        seed = json.loads(results.table["seed"].to_json(orient="values"))[0]
        keep(results, given.report / "cells" / f"{given.add[1]}-s{seed}.parquet")
    report(given.report)


if __name__ == "__main__":
    main()
