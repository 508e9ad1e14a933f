"""Study 1 over several splits of the data, from what is left of each cell (a corpus and a seed).

A cell has a teacher, a generator, samples and students of its own. Cells are run where and when
there is a machine; the predicted classes of each are kept (:mod:`cells`), and make the report::

    python tools/pool_cells.py reports/splits                    # make the report again
    python tools/pool_cells.py reports/splits --add FOLDER NAME  # after adding a cell

``FOLDER`` holds what ``gdlib.compare.results.Results.save`` wrote, as the artifact ``tested`` of a
run's store does; ``NAME`` is the corpus. A cell that is added later counts like every other.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import cells
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from teaching import FOLLOWED, LABELLED, closed, followed, means, retention

from gdlib import charts
from gdlib.charts.style import Mark
from gdlib.compare import stats, tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY
from gdlib.compare.tables import Comparison
from gdlib.core.wording import cell, grid, readable
from gdlib.networks.arms import MAIN_ARM
from gdlib.studies.generation.compare import ALONE, HARD, REAL, SCRAPS
from gdlib.studies.generation.feedback import FEEDBACK

PRIMARY = (MAIN_ARM, LABELLED)
SETFIT = "setfit"
QUESTIONS = (
    PRIMARY,
    *((MAIN_ARM, arm) for arm in (ALONE, SCRAPS, HARD)),
    (FEEDBACK, MAIN_ARM),
    (REAL, MAIN_ARM),
    (REAL, LABELLED),
    (SETFIT, tables.TEACHER),
)
REFERENCES = ("tfidf-lr", "tfidf-svm", "static-lr")
"""Those that are as small as the student, or smaller."""
ARMS = (
    *(*REFERENCES, "encoder-lr", SETFIT, ALONE, LABELLED, SCRAPS, MAIN_ARM, FEEDBACK, HARD, REAL),
    tables.TEACHER,
)
GOALS = {"ag_news": 0.98, "dbpedia": 0.98, "bbc": 0.96, "movies": 0.95, "wordnet": 0.92}
"""Of the teacher's accuracy, what the student was to keep: set before any of this was run."""


INTRODUCTION = """\
A student of 1.1 million parameters (KimCNN) and 100 labels per class. Every split has labelled
texts, a teacher, a generator, samples and students of its own; the test texts are the same. The
recipe is the same for all. It was chosen on another corpus (SST-2), all but the number of generated
texts: that was raised from 1,600 to 6,400 after the first split of WordNet and of AG News had been
seen with 1,600. Made from `cells/` by `python tools/pool_cells.py`; a later cell counts like every
other."""
DIFFERENCES = """\
Points of accuracy, paired, with 95% intervals over test texts. *Resolved* means that zero lies
outside the joint interval over texts and splits, with Holm's correction over the corpora of each
question. The last row of a question is the average over the corpora of three splits and more, of
the splits that all of these have; it is one test of its own. Figure: thick bars are intervals over
texts, thin ones over splits (none: one split); filled: resolved."""
SIZES = """\
Accuracy with one in 64, in 16, in 4 and all of the generated texts beside the labelled ones, on the
splits where all of these were tried; how many texts that is is the mean over them, after the
funnel. Lines: the teacher's labels on the labelled texts alone, and as many real texts as all
generated ones, or all that there are."""
FURTHER = {
    "small": ("A smaller student", "The same cells with students of 0.36 million parameters."),
    "fewer": ("Fewer labels", "Fewer labels per class, and all else as above."),
}
"""Folders with cells of another kind: the title and the introduction of their part."""
AVERAGE, LEAST = "average", 3


def differences(results: Mapping[str, Results]) -> pd.DataFrame:
    """The paired differences on every corpus, and on their average: see :data:`DIFFERENCES`."""
    parts = []
    for pair in QUESTIONS:
        splits = {corpus: cells.splits_with(of, pair) for corpus, of in results.items()}
        splits = {corpus: seeds for corpus, seeds in splits.items() if seeds}
        rows = [
            tables.difference_row(
                corpus, *pair, stats.difference(_sample(results[corpus], pair, s))
            )
            for corpus, s in splits.items()
        ]
        parts.append(tables.decided(pd.DataFrame(rows)))
        often = {corpus: seeds for corpus, seeds in splits.items() if len(seeds) >= LEAST}
        if len(often) > 1 and (shared := set.intersection(*often.values())):
            common = [_sample(results[corpus], pair, shared) for corpus in often]
            row = tables.difference_row(AVERAGE, *pair, stats.difference(*common))
            parts.append(tables.decided(pd.DataFrame([row])))
    return pd.concat(parts, ignore_index=True)


def _sample(of: Results, pair: tuple[str, str], seeds: Set[int]) -> stats.Sample:
    return cells.of_splits(of, seeds).sample(ACCURACY, *({"arm": arm} for arm in pair))


def by_size(results: Mapping[str, Results]) -> pd.DataFrame:
    """Accuracy by number of generated texts: rows of :func:`gdlib.charts.lines`."""
    parts = []
    comparison = Comparison(ACCURACY, means=("size",), resamples=tables.RESAMPLES)
    for corpus, of in results.items():
        names = {arm for arm in of.table["arm"] if re.fullmatch(r"generated /\d+", arm)}
        if not names:
            continue
        seeds = cells.splits_with(of, {*names, MAIN_ARM, LABELLED, REAL})
        arms = comparison.arms(cells.of_splits(of, seeds)).assign(panel=corpus)
        swept, level = arms["arm"].isin({*names, MAIN_ARM}), arms["arm"].isin([LABELLED, REAL])
        parts += [arms[swept].assign(arm=MAIN_ARM), arms[level]]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def summary(results: Mapping[str, Results]) -> pd.DataFrame:
    """A row per corpus: splits, what the student keeps, what is closed of the gap, references."""
    rows = []
    for corpus, of in results.items():
        share, low, high = retention(of)
        real = REAL in set(of.table["arm"])
        gap, part = closed(of) if real else (float("nan"), float("nan"))
        over = "" if np.isnan(low) else f" [{low:.1%}, {high:.1%}]"
        goal = GOALS.get(corpus)
        found = means(of)
        reference = found.reindex(REFERENCES).dropna().sort_values()[-1:]
        above = [f"{100 * (found[MAIN_ARM] - its):+.1f} ({by})" for by, its in reference.items()]
        rows.append(
            {
                "corpus": corpus,
                "splits": of.table["seed"].nunique(),
                "kept of the teacher's accuracy [95% over splits]": f"{share:.1%}{over}",
                "goal": f"{goal:.0%}" if goal else "",
                "gap to real texts, balanced accuracy": f"{100 * gap:.1f} points" if real else "",
                "share of it closed": f"{part:.0%}" if gap > 0.005 else "no gap to speak of" * real,
                "above the best reference of its size": "".join(above),
            }
        )
    table = pd.DataFrame(rows)
    return table.loc[:, (table != "").any()]


def accuracies(results: Mapping[str, Results]) -> pd.DataFrame:
    """Arms by corpus: accuracy in %, the mean over splits and student seeds."""
    columns = {}
    for corpus, of in results.items():
        splits = of.table.groupby("arm")["seed"].nunique()
        whole = int(splits.max())
        fewer = [f" ({count} of {whole} splits)" * (count < whole) for count in splits.tolist()]
        columns[corpus] = (means(of).map("{:.1%}".format) + fewer).reindex(ARMS)
    table = pd.DataFrame(columns).dropna(how="all").fillna("–")
    return table.rename_axis("way of training").reset_index()


def report(folder: Path) -> None:
    """Write ``report.md``, its tables and its figures from the cells beside it."""
    results = cells.corpora(folder / "cells")
    gaps = differences(results)
    for name in ("tables", "figures"):
        (folder / name).mkdir(exist_ok=True)
    gaps.to_csv(folder / "tables" / "differences.csv", index=False)
    drawn = _drawn(_differences_figure(gaps), folder, "differences")
    parts = [
        "# Study 1 over splits of the data",
        INTRODUCTION,
        grid(summary(results)),
        "## Differences",
        DIFFERENCES,
        drawn,
        grid(readable(gaps)),
        "## Accuracy",
        grid(accuracies(results)),
        "## What is taken over from the teacher",
        FOLLOWED,
        grid(followed(results)),
    ]
    if len(sizes := by_size(results)):
        sizes.to_csv(folder / "tables" / "sizes.csv", index=False)
        drawn = _drawn(_sizes_figure(sizes, results), folder, "sizes")
        parts += ["## The number of generated texts", SIZES, drawn]
    for name, (title, introduction) in FURTHER.items():
        if found := cells.corpora(folder / name):
            tables_of = summary(found), readable(differences(found)), accuracies(found)
            parts += [f"## {title}", introduction, *map(grid, tables_of)]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def _drawn(figure: Figure, folder: Path, name: str) -> str:
    """Leave a figure in the report's folder, the same bytes each time, and show it."""
    figure.savefig(folder / "figures" / f"{name}.svg", metadata={"Date": None})
    return f"![{cell(repr(figure))}](figures/{name}.svg)"


def _differences_figure(gaps: pd.DataFrame) -> Figure:
    """A panel per question, a row per corpus; the title is about the first question."""
    first = gaps[(gaps["left"] == PRIMARY[0]) & (gaps["right"] == PRIMARY[1])]
    corpora_of = first[first["panel"] != AVERAGE]
    resolved = f"resolved on {corpora_of['resolved'].sum()} of {len(corpora_of)} corpora"
    return charts.forest(
        gaps.assign(arm=gaps["panel"], panel=gaps["question"]),
        title=f"Generated texts beside the labelled ones: {resolved}",
        label="points of accuracy",
        marks={name: Mark("#000000", "o", "-") for name in gaps["panel"]},
        zero=True,
    )


def _sizes_figure(sizes: pd.DataFrame, results: Mapping[str, Results]) -> Figure:
    looks = {"title": "Accuracy by the number of generated texts", "label": "accuracy"}
    looks |= {"x": "size", "x_label": "generated texts", "references": (LABELLED, REAL)}
    several = sizes["seeds_low"].notna().any()  # sizes may have been tried on one split alone
    seeds = min(of.replicates for of in results.values()) if several else 1
    return charts.lines(sizes, seeds=seeds, log=True, **looks)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("report", type=Path, help="the report's folder; its cells/ hold the cells")
    parser.add_argument(
        "--add",
        nargs=2,
        action="append",
        default=[],
        metavar=("FOLDER", "NAME"),
        help=f"a cell to add first; after a slash in its NAME one of {', '.join(FURTHER)}",
    )
    given = parser.parse_args(arguments)
    for made, name in given.add:
        results = Results.load(Path(made))
        seed = json.loads(results.table["seed"].to_json(orient="values"))[0]
        name, _, kind = name.partition("/")
        cells.keep(results, given.report / (kind or "cells") / f"{name}-s{seed}.parquet")
    report(given.report)


if __name__ == "__main__":
    main()
