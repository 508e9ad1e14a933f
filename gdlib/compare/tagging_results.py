"""What every tagger found in every test sentence, and the comparison of taggers by entity F1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from gdlib.compare import f1_stats, stats
from gdlib.compare.entities import by_language, f1_by_language

TEACHER = "teacher"


@dataclass(frozen=True)
class TaggedResults:
    """Entity counts of every tagger.

    Args:
        table: one row a trained student (or teacher): corpus, labels_per_language, seed,
            student_seed, arm, strategy, size (transfer sentences), embedding_dim, hidden_dim, f1
            (mean over languages), parameters, steps (that it took).
        counts: entities found right, predicted and gold, of every sentence. *Shape:* ``[rows,
            sentences, 3]``.
        languages: of every sentence.
    """

    table: pd.DataFrame
    counts: np.ndarray
    languages: tuple[str, ...]

    def save(self, folder: Path) -> None:
        self.table.to_parquet(folder / "results.parquet", index=False)
        save_file({"counts": np.ascontiguousarray(self.counts)}, folder / "results.safetensors")
        pd.DataFrame({"language": self.languages}).to_parquet(
            folder / "languages.parquet", index=False
        )

    @classmethod
    def load(cls, folder: Path) -> "TaggedResults":
        languages = pd.read_parquet(folder / "languages.parquet")["language"]
        return cls(
            pd.read_parquet(folder / "results.parquet"),
            load_file(folder / "results.safetensors")["counts"],
            tuple(languages),
        )

    @classmethod
    def stack(cls, results: Sequence["TaggedResults"]) -> "TaggedResults":
        """The results of several seeds over the same test sentences.

        Raises:
            ValueError: the sentences are not the same ones.
        """
        first = results[0]
        if any(
            one.languages != first.languages
            or not np.array_equal(one.counts[0, :, 2], first.counts[0, :, 2])
            for one in results
        ):
            raise ValueError(
                "results of different test parts can't be compared sentence by sentence"
            )
        tables = pd.concat([one.table for one in results], ignore_index=True)
        return cls(tables, np.concatenate([one.counts for one in results]), first.languages)

    def units(self, arm: str) -> np.ndarray:
        """Counts of an arm, a row a unit of randomness, in a fixed order. *Shape:* ``[units,
        sentences, 3]``.

        Raises:
            KeyError: there is no such arm.
        """
        rows = self.table[self.table["arm"] == arm].sort_values(["seed", "student_seed"])
        if rows.empty:
            raise KeyError(f"no results of {arm}")
        return self.counts[rows.index]

    def interval(self, arm: str, resamples: int = 1999) -> stats.Interval:
        """F1, mean over languages and units, with its intervals."""
        return f1_stats.count_interval(
            by_language(self.units(arm), self.languages), resamples=resamples
        )

    def difference(self, one: str, other: str, resamples: int = 1999) -> stats.Difference:
        """F1 of ``one`` minus that of ``other``, paired; a teacher meets every student seed of its
        seed.
        """
        a, b = (self.units(arm) for arm in (one, other))
        a, b = (np.repeat(x, max(len(a), len(b)) // len(x), axis=0) for x in (a, b))
        return f1_stats.paired_count_difference(
            *(by_language(x, self.languages) for x in (a, b)), resamples=resamples
        )

    def languages_table(self, arms: Sequence[str]) -> pd.DataFrame:
        """F1 by language, mean over units: language, arm, f1, and its lowest and highest unit (low,
        high).
        """
        rows = []
        for arm in arms:
            each = pd.DataFrame([f1_by_language(unit, self.languages) for unit in self.units(arm)])
            rows += [
                {"language": name, "arm": arm, "f1": of.mean(), "low": of.min(), "high": of.max()}
                for name, of in each.items()
            ]
        return pd.DataFrame(rows)

    def overview(self) -> pd.DataFrame:
        """Every arm: arm, strategy, size, embedding_dim, hidden_dim, parameters, steps, units, f1
        (mean over languages), low, high, ``sd`` (over languages, as the paper gives it), retention
        (f1 over the teacher's), ``minus teacher`` in words."""
        teacher, rows = self.interval(TEACHER).value, []
        for arm, of in self.table.groupby("arm", sort=False):
            interval = self.interval(arm)
            row = {
                name: of[name].iloc[0]
                for name in ("arm", "strategy", "embedding_dim", "hidden_dim")
            }
            row |= {name: int(of[name].mean()) for name in ("size", "parameters", "steps")} | {
                "units": len(of)
            }
            row |= {"f1": interval.value, "low": interval.low, "high": interval.high}
            row["sd"] = float(self.languages_table([arm])["f1"].std(ddof=0))
            row["retention"] = interval.value / teacher if teacher else float("nan")
            row["minus teacher"] = (
                "" if arm == TEACHER else self.difference(arm, TEACHER).describe()
            )
            rows.append(row)
        return pd.DataFrame(rows)
