"""The funnel that generated texts pass: what may not be used is dropped, and counted.

A text has the fate of the first gate that stops it, in this order:

=================  ===============================================================================
empty              no word in it
cut off            no end token within ``max_new_tokens``
duplicate          equals an earlier sample once normalised
in test set        shares a run of ``overlap_words`` words with a test text, or is a near-duplicate
                   of one
in labelled set    is a near-duplicate of a labelled text: it would add nothing
near-duplicate     Jaccard similarity of word 3-grams with an earlier kept sample is
                   ``near_duplicate`` or more
low confidence     the teacher's largest probability is below ``min_confidence`` (off by default)
class balance      beyond an equal share of the samples, so that a class which the generator
                   writes most, or the teacher sees everywhere, does not rule the student
=================  ===============================================================================
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from gdlib.networks.signals import Signals
from gdlib.sources.duplicates import NearDuplicates, sharing_runs, words_of
from gdlib.sources.parts import normalise
from gdlib.sources.splits import NEAR_TEST

GATES = (
    "empty",
    "cut off",
    "duplicate",
    "in test set",
    "in labelled set",
    "near-duplicate",
    "low confidence",
    "class balance",
)
FATES = ("kept", *GATES)


def is_empty(text: str) -> bool:
    """Whether a text has neither letters nor digits."""
    return not any(map(str.isalnum, normalise(text)))


def fates(
    raw: pd.DataFrame,
    labelled: Sequence[str],
    test: Sequence[str],
    *,
    near_duplicate: float,
    overlap_words: int,
) -> pd.Series:
    """The fate of every sample up to the teacher's gates; ``kept`` for those that pass.

    Args:
        raw: columns ``text`` and ``ended``.
        labelled: all labelled texts (held-out ones too).
        test: all test texts.
        near_duplicate: Jaccard similarity of word 3-grams from which two texts count as one; of a
            test text :data:`~gdlib.sources.splits.NEAR_TEST` is enough, as for real texts.
        overlap_words: length of a run of words that no sample may share with a test text.
    """
    words = [words_of(text) for text in raw["text"]]

    def near(texts: Sequence[str], threshold: float) -> list[bool]:
        known = NearDuplicates(threshold, map(words_of, texts))
        return [known.has(row) for row in words]

    overlap = sharing_runs(raw["text"], test, overlap_words)
    stopped = {
        "empty": raw["text"].map(is_empty),
        "cut off": ~raw["ended"],
        "duplicate": pd.Series(words, raw.index).duplicated(),
        "in test set": overlap | near(test, min(near_duplicate, NEAR_TEST)),
        "in labelled set": near(labelled, near_duplicate),
    }
    first = np.select([np.array(gate, dtype=bool) for gate in stopped.values()], [*stopped], "kept")
    fate, kept = first.tolist(), NearDuplicates(near_duplicate)
    for row in tqdm(np.flatnonzero(first == "kept"), desc="funnel", unit="text", mininterval=2.0):
        if kept.has(words[row]):
            fate[row] = "near-duplicate"
        else:
            kept.add(words[row])
    return pd.Series(fate, raw.index, name="fate")


def judged(table: pd.DataFrame, signals: Signals, rows: np.ndarray) -> pd.DataFrame:
    """The table with the teacher's view of the texts in ``rows``: logits, label, confidence,
    entropy (nats); of the others NaN, and -1 for the label.
    """
    view = pd.DataFrame(
        {
            "teacher_label": signals.predicted,
            "confidence": signals.probabilities.amax(dim=-1).double(),
            "entropy": signals.entropy,
        },
        table.index[rows],
    )
    logits = np.full((len(table), len(signals.labels)), np.nan, dtype=np.float32)
    logits[rows] = signals.logits
    table = table.assign(teacher_logits=list(logits)).join(view)
    return table.fillna({"teacher_label": -1}).astype({"teacher_label": int})


def select(table: pd.DataFrame, *, min_confidence: float, balance: bool) -> pd.Series:
    """The fates after the teacher's gates, among what was kept so far: selection by confidence,
    then of every class the first samples up to an equal share (all by the number of classes).
    """
    fate = table["fate"].copy()
    fate[(fate == "kept") & (table["confidence"] < min_confidence)] = "low confidence"
    if balance and (fate == "kept").any():
        labels = table["teacher_label"][fate == "kept"]
        surplus = labels.groupby(labels).cumcount() >= len(labels) / labels.nunique()
        fate[surplus.index[surplus]] = "class balance"
    return fate


def counts(fate: pd.Series) -> pd.DataFrame:
    """The funnel as a table: gate, dropped, left after it, in the order of the gates."""
    dropped = fate.value_counts().reindex(GATES, fill_value=0)
    dropped = pd.concat([pd.Series({"generated": 0}), dropped])
    table = dropped.rename_axis("gate").reset_index(name="dropped")
    return table.assign(left=len(fate) - table["dropped"].cumsum())


def words(fate: pd.Series) -> str:
    """The same as a line: how many were kept, and what the gates dropped, the most first."""
    number = fate.value_counts()
    kept, dropped = number.get("kept", 0), number.drop("kept", errors="ignore")
    gates = "; ".join(f"{name}: {count:,}" for name, count in dropped.items())
    return f"**{kept:,} of {len(fate):,}** generated texts were kept. Dropped: {gates or 'none'}."


def dropped(table: pd.DataFrame) -> pd.DataFrame:
    """The first text that each gate dropped: fate, text."""
    rows = table[~table["fate"].isin(["kept", "empty"])]
    return rows.drop_duplicates("fate")[["fate", "text"]]


def gallery(table: pd.DataFrame, each: int = 5) -> Iterator[tuple[str, pd.DataFrame]]:
    """Kept samples the teacher is surest of, typical ones (around the median confidence), and least
    sure ones.
    """
    kept = table[table["fate"] == "kept"]
    kept = kept.sort_values(["confidence", "text"], ascending=[False, True])
    middle = max(0, len(kept) // 2 - each // 2)
    yield "best", kept.head(each)
    yield "typical", kept.iloc[middle : middle + each]
    yield "worst", kept.tail(each)
