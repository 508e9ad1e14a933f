"""Cells of a study (a corpus and a seed) as small files: the predicted class of every test text."""

import io
from collections.abc import Collection, Set
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gdlib.compare.results import Results


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
    """The cells of every corpus, stacked over their seeds. Not all of them have every arm."""
    found: dict[str, list[Results]] = {}
    for path in sorted(folder.glob("*.parquet")):
        found.setdefault(path.stem.rpartition("-s")[0], []).append(read(path))
    return {corpus: Results.stack(cells) for corpus, cells in found.items()}


def splits_with(of: Results, arms: Collection[str]) -> set[int]:
    """The seeds of the splits that have all of some arms."""
    return set.intersection(*(set(of.table.loc[of.table["arm"] == arm, "seed"]) for arm in arms))


def of_splits(of: Results, seeds: Set[int]) -> Results:
    """The same of some splits alone."""
    kept = of.table[of.table["seed"].isin(seeds)]
    return Results(kept.reset_index(drop=True), of.outputs[kept.index], of.items)
