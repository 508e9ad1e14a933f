"""Generated samples: written to disk as they come, then passed through a funnel that drops what may not be used.

The funnel, in this order; a text has the fate of the first gate that stops it:

================  =====================================================================================
empty             no word in it
cut off           no end token within ``max_new_tokens``
duplicate         equals an earlier sample once normalised
in test set       shares a run of ``overlap_words`` words with a test text, or is a (near-)duplicate of one
in labelled set   is a (near-)duplicate of a labelled text: it would add nothing
near-duplicate    Jaccard similarity of word 3-grams with an earlier kept sample is ``near_duplicate`` or more
low confidence    the teacher's largest probability is below ``min_confidence`` (selection; off by default)
class balance     beyond the number of the rarest class (selection; off by default)
================  =====================================================================================
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from datasketch import MinHash, MinHashLSH
from tqdm.auto import tqdm

from gdlib.networks.sampling import Generator, prompts_for
from gdlib.networks.signals import Signals
from gdlib.sources.corpora import Part
from gdlib.sources.parts import normalise

FATES = (
    "kept",
    "empty",
    "cut off",
    "duplicate",
    "in test set",
    "in labelled set",
    "near-duplicate",
    "low confidence",
    "class balance",
)
PERMUTATIONS = 128


@dataclass(frozen=True)
class SamplingPlan:
    """How texts are sampled: the decoding, and the seed every batch derives its own from."""

    num_samples: int
    temperature: float
    top_p: float
    top_k: int
    prefix_tokens: int
    max_new_tokens: int
    batch: int
    seed: int


def generate(generator: Generator, labelled: Part, plan: SamplingPlan, file: Path) -> None:
    """Sample texts and stream them to a JSON-lines file, a batch at a time.

    Batch ``b`` depends on the seed and on ``b`` alone. So a run that was killed loses at most the
    batch it was in, and goes on with the next to the same texts as one that was not killed.
    """
    batches = -(-plan.num_samples // plan.batch)
    done = whole_batches(file, plan)
    with (
        open(file, "a", encoding="utf-8") as out,
        tqdm(total=plan.num_samples, desc="samples", unit="text", mininterval=2.0) as bar,
    ):
        bar.update(min(plan.num_samples, done * plan.batch))
        for number in range(done, batches):
            size = min(plan.batch, plan.num_samples - number * plan.batch)
            asked = list(
                prompts_for(generator, number, size, labelled, plan.prefix_tokens, plan.seed)
            )
            written = generator.sample(
                [ids for ids, _, _ in asked],
                max_new_tokens=plan.max_new_tokens,
                temperature=plan.temperature,
                top_p=plan.top_p,
                top_k=plan.top_k,
                seed=int(np.random.SeedSequence([plan.seed, number]).generate_state(1)[0]),
            )
            texts = generator.tokenizer.batch_decode([ids for ids, _ in written])
            lines = [
                {
                    "batch": number,
                    "text": prefix + text,
                    "ended": ended,
                    "tokens": len(ids),
                    "label_asked": label,
                }
                for (_, prefix, label), (ids, ended), text in zip(asked, written, texts)
            ]
            out.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
            out.flush()
            os.fsync(out.fileno())
            bar.update(size)


def whole_batches(file: Path, plan: SamplingPlan) -> int:
    """How many whole batches a file holds; what follows them (a batch that a kill cut through) is
    cut away.
    """
    if not file.exists():
        return 0
    lines = [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    whole = (
        -(-len(lines) // plan.batch) if len(lines) >= plan.num_samples else len(lines) // plan.batch
    )
    os.truncate(file, sum(map(len, lines[: whole * plan.batch])))
    return whole


def read(file: Path) -> pd.DataFrame:
    """The raw samples: text (outer blanks removed), ended, tokens, label_asked."""
    frame = pd.read_json(file, lines=True, encoding="utf-8", dtype=False)
    frame["text"] = frame["text"].str.strip()
    return frame.drop(columns="batch")


def is_empty(text: str) -> bool:
    """Whether a text has neither letters nor digits."""
    return not any(map(str.isalnum, normalise(text)))


def funnel(
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
        near_duplicate: Jaccard similarity of word 3-grams from which two texts count as one.
        overlap_words: length of a run of words that no sample may share with a test text.
    """
    words = [normalise(text).split() for text in raw["text"]]
    test_words, labelled_words = (
        [normalise(text).split() for text in texts] for texts in (test, labelled)
    )
    test_runs = runs(test_words, overlap_words)
    near_test, near_labelled, near_kept = (NearDuplicates(near_duplicate) for _ in range(3))
    near_test.add_all(test_words)
    near_labelled.add_all(labelled_words)
    seen: set[tuple[str, ...]] = set()
    fates = []
    for row, ended in tqdm(
        zip(words, raw["ended"]), total=len(words), desc="funnel", unit="text", mininterval=2.0
    ):
        key = tuple(row)
        if is_empty(" ".join(row)):
            fate = "empty"
        elif not ended:
            fate = "cut off"
        elif key in seen:
            fate = "duplicate"
        else:
            sketch = near_kept.sketch(row)
            if not test_runs.isdisjoint(runs([row], overlap_words)) or near_test.has(row, sketch):
                fate = "in test set"
            elif near_labelled.has(row, sketch):
                fate = "in labelled set"
            elif near_kept.has(row, sketch):
                fate = "near-duplicate"
            else:
                near_kept.add(row, sketch)
                fate = "kept"
        seen.add(key)
        fates.append(fate)
    return pd.Series(fates, index=raw.index, name="fate")


class NearDuplicates:
    """Texts that can be asked for near-duplicates: MinHash finds candidates, exact Jaccard
    similarity decides.

    So a text is called a near-duplicate only if it is one; MinHash can miss one close to the
    threshold, and since the candidates are looked up well below it, it seldom does.
    """

    def __init__(self, threshold: float):
        self.threshold = threshold
        self.index = MinHashLSH(threshold=max(0.1, threshold - 0.2), num_perm=PERMUTATIONS)
        self.shingles: list[frozenset] = []

    @staticmethod
    def of(words: Sequence[str]) -> frozenset:
        """The word 3-grams of a text; a shorter text is one shingle."""
        return frozenset(tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2)))

    @classmethod
    def sketch(cls, words: Sequence[str]) -> MinHash:
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch(
            [
                " ".join(shingle).encode("utf-8", "surrogatepass")
                for shingle in sorted(cls.of(words))
            ]
        )
        return sketch

    def add(self, words: Sequence[str], sketch: MinHash) -> None:
        self.index.insert(len(self.shingles), sketch)
        self.shingles.append(self.of(words))

    def add_all(self, texts: Sequence[Sequence[str]]) -> None:
        for words in texts:
            if words:
                self.add(words, self.sketch(words))

    def has(self, words: Sequence[str], sketch: MinHash) -> bool:
        own = self.of(words)
        return any(
            jaccard(own, self.shingles[i]) >= self.threshold for i in self.index.query(sketch)
        )


def jaccard(a: frozenset, b: frozenset) -> float:
    """``|a & b| / |a | b|``."""
    return len(a & b) / len(a | b)


def runs(texts: Sequence[Sequence[str]], length: int) -> set[tuple[str, ...]]:
    """Every run of ``length`` words in some texts."""
    return {tuple(words[i : i + length]) for words in texts for i in range(len(words) - length + 1)}


def memorised(samples: Sequence[str], training: Sequence[str], length: int = 8) -> np.ndarray:
    """Which samples share a run of ``length`` words with a text the generator was trained on.

    *Shape:* ``[samples]``, bool.
    """
    known = runs([normalise(text).split() for text in training], length)
    return np.array(
        [not known.isdisjoint(runs([normalise(text).split()], length)) for text in samples],
        dtype=bool,
    )


def judged(table: pd.DataFrame, signals: Signals, rows: np.ndarray) -> pd.DataFrame:
    """The table with the teacher's view of the texts in ``rows``: logits, label, confidence,
    entropy (nats).
    """
    probabilities = signals.probabilities
    entropy = -(probabilities * probabilities.clamp_min(1e-12).log()).sum(dim=-1)
    table = table.copy()
    logits = np.full((len(table), len(signals.labels)), np.nan, dtype=np.float32)
    logits[rows] = signals.logits.numpy()
    table["teacher_logits"] = list(logits)
    for name, values, missing in (
        ("teacher_label", signals.predicted, -1),
        ("confidence", probabilities.amax(dim=-1), np.nan),
        ("entropy", entropy, np.nan),
    ):
        column = np.full(len(table), missing, dtype=np.int64 if missing == -1 else np.float64)
        column[rows] = torch.as_tensor(values).numpy()
        table[name] = column
    return table


def select(table: pd.DataFrame, *, min_confidence: float, balance: bool) -> pd.Series:
    """The fates after the teacher's gates: selection by confidence and by class balance, among what
    was kept so far.
    """
    fate = table["fate"].copy()
    fate[(fate == "kept") & (table["confidence"] < min_confidence)] = "low confidence"
    if balance and (fate == "kept").any():
        kept = table[fate == "kept"]
        fewest = kept["teacher_label"].value_counts().min()
        surplus = kept.groupby("teacher_label").cumcount() >= fewest
        fate[surplus.index[surplus]] = "class balance"
    return fate


def counts(fate: pd.Series) -> pd.DataFrame:
    """The funnel as a table: gate, dropped, left after it, in the order of the gates."""
    dropped = fate.value_counts()
    left, rows = len(fate), [{"gate": "generated", "dropped": 0, "left": len(fate)}]
    for gate in FATES[1:]:
        left -= (number := int(dropped.get(gate, 0)))
        rows.append({"gate": gate, "dropped": number, "left": left})
    return pd.DataFrame(rows)


def gallery(table: pd.DataFrame, each: int = 5) -> Iterator[tuple[str, pd.DataFrame]]:
    """Kept samples the teacher is surest of, typical ones (around the median confidence), and least
    sure ones.
    """
    kept = table[table["fate"] == "kept"].sort_values(
        ["confidence", "text"], ascending=[False, True]
    )
    middle = max(0, len(kept) // 2 - each // 2)
    yield "best", kept.head(each)
    yield "typical", kept.iloc[middle : middle + each]
    yield "worst", kept.tail(each)
