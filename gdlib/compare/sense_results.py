"""What every method answered, and the tables made of it: F1 by test set and part of speech, paired
differences.

F1 as in the field (Raganato et al. 2017): precision is right answers over answers, recall right
answers over instances, F1 their harmonic mean. A method that always answers has F1 = accuracy. An
instance without a candidate is not answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.compare import stats
from gdlib.sources.senses import Instance
from gdlib.sources.wordnet import POS

ALL = "ALL"
CHOSEN_ON = "held-out"  # the part that weights are chosen by: shown, never among ALL


@dataclass(frozen=True)
class Answers:
    """What was answered to every test instance.

    Args:
        table: one row a method and seed: method, seed (of the split and the draw), model_seed (-1
            where nothing is trained), and more.
        right: 1 where the answer is right. *Shape:* ``[rows, instances]``.
        instances: one row a test instance: part (its set), id, pos, candidates (how many).
    """

    table: pd.DataFrame
    right: np.ndarray
    instances: pd.DataFrame

    @property
    def tests(self) -> list[str]:
        """The test sets, without the part that is chosen by."""
        return [part for part in dict.fromkeys(self.instances["part"]) if part != CHOSEN_ON]

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(self.table["method"]))

    def where(self, part: str = ALL, pos: str | None = None) -> np.ndarray:
        """The instances of a set (:data:`ALL`: of all test sets), maybe of one part of speech.

        *Shape:* ``[instances]``, bool.
        """
        chosen = (
            self.instances["part"].ne(CHOSEN_ON) if part == ALL else self.instances["part"].eq(part)
        )
        return (chosen & (self.instances["pos"].eq(pos) if pos else True)).to_numpy()

    def units(self, method: str, where: np.ndarray | None = None) -> np.ndarray:
        """Right or wrong, a row a unit of randomness: a seed (its model seeds averaged), or a model
        seed where there is one seed.

        Raises:
            KeyError: no such method.
        """
        rows = self.table[self.table["method"] == method]
        if rows.empty:
            raise KeyError(f"no answers of {method}")
        right = self.right[:, self.where() if where is None else where]
        if self.table["seed"].nunique() > 1:
            return np.stack([right[group.index].mean(axis=0) for _, group in rows.groupby("seed")])
        return right[rows.sort_values("model_seed").index]

    def difference(
        self, one: str, other: str, where: np.ndarray | None = None, resamples: int = 9999
    ) -> stats.Difference:
        """How much better ``one`` answers than ``other``: paired by instance and seed, what has one
        row meets every seed.
        """
        a, b = self.units(one, where), self.units(other, where)
        size = max(len(a), len(b))
        a, b = (np.repeat(x, size, axis=0) if len(x) == 1 else x for x in (a, b))
        return stats.paired_difference(a, b, resamples=resamples)

    @classmethod
    def stack(cls, several: Sequence["Answers"]) -> "Answers":
        """The answers of several seeds to the same test instances.

        Raises:
            ValueError: they are other instances.
        """
        alike = all(one.instances.equals(several[0].instances) for one in several)
        tests = several if alike else [one.without_held_out() for one in several]
        if any(not one.instances.equals(tests[0].instances) for one in tests[1:]):
            raise ValueError("answers to different test instances can't be compared one by one")
        table = pd.concat([one.table for one in tests], ignore_index=True)
        return cls(table, np.concatenate([one.right for one in tests]), tests[0].instances)

    def without_held_out(self) -> "Answers":
        """Without the held-out part where it is another for each seed: what is the same for all of
        them.
        """
        kept = self.instances["part"].ne(CHOSEN_ON).to_numpy()
        return Answers(self.table, self.right[:, kept], self.instances[kept].reset_index(drop=True))


def judge(scores: Sequence[np.ndarray], instances: Sequence[Instance]) -> np.ndarray:
    """1 where the candidate with the largest score (the first of equal ones) is right, 0 where not
    or where there is none. *Shape:* ``[instances]``.
    """
    return np.array(
        [
            float(len(s) > 0 and one.gold[int(np.argmax(s))])
            for s, one in zip(scores, instances, strict=True)
        ]
    )


def f1(right: np.ndarray, answered: np.ndarray) -> float:
    """Of right or wrong answers and whether there was one: both ``[instances]`` (or ``[seeds,
    instances]``, averaged).
    """
    precision, recall = right.sum(-1) / np.maximum(answered.sum(-1), 1), right.mean(-1)
    return float(np.mean(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def describe(parts: dict[str, Sequence[Instance]]) -> pd.DataFrame:
    """The instances of several sets as a table: part, id, pos, candidates."""
    rows = [
        (part, one.id, one.pos, len(one.candidates))
        for part, instances in parts.items()
        for one in instances
    ]
    return pd.DataFrame(rows, columns=["part", "id", "pos", "candidates"])


def by_set(answers: Answers) -> pd.DataFrame:
    """F1 of every method on every set and ALL, with the interval of ALL: method, one column a set,
    ALL, low, high, seeds, model_seeds.
    """
    rows = []
    for method in answers.methods:
        row: dict[str, Any] = {"method": method}
        for part in [*dict.fromkeys(answers.instances["part"]), ALL]:
            row[part] = _f1(answers, method, answers.where(part))
        interval, of = (
            stats.mean_interval(answers.units(method)),
            answers.table[answers.table["method"] == method],
        )
        rows.append(
            row
            | {
                "low": interval.low,
                "high": interval.high,
                "seeds": of["seed"].nunique(),
                "model_seeds": of["model_seed"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def by_pos(answers: Answers) -> pd.DataFrame:
    """F1 of every method by part of speech, over all test sets: method, pos, instances, f1, low,
    high.
    """
    rows = []
    for method in answers.methods:
        for pos in (pos for pos in POS if answers.where(pos=pos).sum() > 1):
            where = answers.where(pos=pos)
            interval = stats.mean_interval(answers.units(method, where), resamples=1999)
            rows.append(
                {
                    "method": method,
                    "pos": pos,
                    "instances": int(where.sum()),
                    "f1": _f1(answers, method, where),
                    "low": interval.low,
                    "high": interval.high,
                }
            )
    return pd.DataFrame(rows)


def differences(answers: Answers, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Paired differences on ALL: method, against, difference, low, high, seeds_low, seeds_high, p,
    resolved, sentence.
    """
    rows = []
    for one, other in pairs:
        d = answers.difference(one, other)
        row = {
            "method": one,
            "against": other,
            "difference": d.value,
            "low": d.low,
            "high": d.high,
            "seeds_low": d.seeds_low,
        }
        row |= {
            "seeds_high": d.seeds_high,
            "p": d.p,
            "resolved": d.resolved,
            "sentence": f"**{one}** minus **{other}**: {d.describe()}.",
        }
        rows.append(row)
    return pd.DataFrame(rows)


def save(answers: Answers, folder: Path) -> None:
    """Write ``answers.parquet``, ``instances.parquet`` and ``right.npy``."""
    answers.table.to_parquet(folder / "answers.parquet", index=False)
    answers.instances.to_parquet(folder / "instances.parquet", index=False)
    np.save(folder / "right.npy", answers.right.astype(np.int8))


def load(folder: Path) -> Answers:
    """What :func:`save` left."""
    right = np.load(folder / "right.npy").astype(np.float64)
    return Answers(
        pd.read_parquet(folder / "answers.parquet"),
        right,
        pd.read_parquet(folder / "instances.parquet"),
    )


def _f1(answers: Answers, method: str, where: np.ndarray) -> float:
    answered = answers.instances["candidates"].gt(0).to_numpy()[where]
    return f1(answers.units(method, where), answered)
