"""Language understanding, part of study 3: one run of it, its artifacts, and what its notebooks
show of them.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.compare import baselines
from gdlib.compare.task_metrics import METRICS, metrics_of
from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.networks import tuning
from gdlib.networks.students import parameters
from gdlib.networks.tuning import TuningPlan
from gdlib.sources import senses as wsd
from gdlib.sources import tasks
from gdlib.sources.cards import WORD_IN_CONTEXT
from gdlib.sources.tasks import Task
from gdlib.sources.zoo import Network
from gdlib.studies.shared.encoders import LexicalEncoders
from gdlib.studies.understanding.settings import PLAN, Settings


@dataclass(frozen=True)
class Said:
    """What was said of one task's test part.

    Args:
        table: one row a fine-tuning: encoder, seed, tuning_seed, steps, parameters, seconds.
        said: classes or numbers. *Shape:* ``[rows, texts]``.
        gold: *Shape:* ``[texts]``.
        metrics: what the task is measured by, the one that counts first.
    """

    table: pd.DataFrame
    said: np.ndarray
    gold: np.ndarray
    metrics: tuple[str, ...]

    @property
    def encoders(self) -> list[str]:
        return list(dict.fromkeys(self.table["encoder"]))

    def units(self, encoder: str) -> np.ndarray:
        """A unit of randomness is a seed, with its fine-tunings; or, with one seed, a fine-tuning.

        *Shape:* ``[units, fine-tunings, texts]``.
        """
        rows = self.table[self.table["encoder"] == encoder].sort_values(["seed", "tuning_seed"])
        seeds = rows["seed"].nunique()
        return self.said[rows.index].reshape(seeds if seeds > 1 else len(rows), -1, len(self.gold))

    def score(self, encoder: str, metric: str) -> float:
        """The mean over fine-tunings."""
        return float(METRICS[metric](self.gold, self.units(encoder)).mean())

    @classmethod
    def stack(cls, several: list["Said"]) -> "Said":
        """Of several seeds, whose test part is the same."""
        if not all(np.array_equal(one.gold, several[0].gold) for one in several):
            raise ValueError("what was said of different test parts can't be compared text by text")
        table = pd.concat([one.table for one in several], ignore_index=True)
        return cls(
            table,
            np.concatenate([one.said for one in several]),
            several[0].gold,
            several[0].metrics,
        )


class UnderstandingStudy(LexicalEncoders):
    """One run: one set of encoders, one draw of every task's texts."""

    plan = PLAN
    settings: Settings

    @derived
    def tasks(self) -> dict[str, Task]:
        """By name, in the order of the settings."""
        s = self.settings
        sizes = tasks.Sizes(s.train_texts, s.held_out_share, s.test_texts)
        loaded = [
            tasks.load(name, sizes, s.seed, self._seen if name == WORD_IN_CONTEXT else ())
            for name in s.tasks
        ]
        return {task.name: task for task in loaded}

    @derived
    def _seen(self) -> set[str]:
        """Lemmas of a folder's training data, drawn or not; those of the embedded data are apart
        already.
        """
        if self.settings.corpus == wsd.EMBEDDED:
            return set()
        return {instance.lemma for instance in (*self.senses.train, *self.senses.held_out)}

    def metrics(self, task: str) -> tuple[str, ...]:
        """What a task is measured by, the one that counts first."""
        return metrics_of(task, len(self.tasks[task].labels))

    # ---- fine-tuning

    def encoder_of(self, name: str, tuning_seed: int) -> Network:
        """The encoder of that name which a fine-tuning stands on: those of the model seeds take
        turns.
        """
        return self.encoder_network(name, self.model_seed(tuning_seed))

    def model_seed(self, tuning_seed: int) -> int:
        """Which lexical training a fine-tuning stands on: the settings' model seeds in turn."""
        s = self.settings
        return s.model_seeds[s.tuning_seeds.index(tuning_seed) % len(s.model_seeds)]

    def tuned(self, task: str, encoder: str, tuning_seed: int) -> Artifact:
        """One fine-tuning, by the names of task and encoder."""
        return self.fine_tuned(*self._cell(task, encoder, tuning_seed))

    def _cell(self, task: str, encoder: str, tuning_seed: int) -> tuple[Any, ...]:
        network = self.encoder_of(encoder, tuning_seed)
        return self.tasks[task], self.metrics(task)[0], network, tuning_seed

    @artifact(
        "tune",
        *("tuning_epochs", "tuning_lr", "tuning_batch", "tuning_length", "tuned_layers"),
        *("tuning_pooling", "seed"),
    )
    def fine_tuned(
        self, folder: Path, task: Task, metric: str, network: Network, tuning_seed: int
    ) -> None:
        """An encoder fine-tuned on a task: its predictions of the test part, its history, its size.

        Args:
            metric: what the weights are chosen by, on the held-out part.
            network: the encoder.
            tuning_seed: of head, order and dropout.
        """
        s = self.settings
        plan = TuningPlan(
            epochs=s.tuning_epochs,
            lr=s.tuning_lr,
            batch=s.tuning_batch,
            max_length=s.tuning_length,
            tuned_layers=s.tuned_layers,
            pooling=s.tuning_pooling,
            seed=self.seed(tuning_seed),
        )
        model, history = tuning.tune(network, task, plan, METRICS[metric])
        np.save(folder / "predictions.npy", tuning.answer(model, network, task, plan))
        notes = {
            "steps": history.best_step,
            "parameters": parameters(model),
            "history": asdict(history),
        }
        (folder / "notes.json").write_text(json.dumps(notes))

    def said(self) -> dict[str, Said]:
        """Of every task, what every fine-tuning says; what is missing is trained now, several at a
        time: encoders first.
        """
        s = self.settings
        self.make_encoders(s.encoders, dict.fromkeys(map(self.model_seed, s.tuning_seeds)))
        names = [
            (task, name, k) for k in s.tuning_seeds for task in self.tasks for name in s.encoders
        ]
        self.make_all("fine_tuned", [self._cell(*cell) for cell in names], "fine-tunings")
        return {task: self._said_of(task) for task in self.tasks}

    def _said_of(self, task: str) -> Said:
        s, rows, predictions = self.settings, [], []
        for name, tuning_seed in [(name, k) for name in s.encoders for k in s.tuning_seeds]:
            made = self.tuned(task, name, tuning_seed)
            notes = made.json("notes.json")
            row = {"encoder": name, "seed": s.seed, "tuning_seed": tuning_seed}
            row |= {column: notes[column] for column in ("steps", "parameters")}
            rows.append(row | {"seconds": made.seconds})
            predictions.append(np.load(made / "predictions.npy"))
        gold = self.tasks[task].test.gold
        return Said(pd.DataFrame(rows), np.stack(predictions), gold, self.metrics(task))

    def over_seeds(self, **changes: Any) -> dict[str, Said]:
        """What was said by the runs of all seeds, by task."""
        runs = [study.said() for study in self.each_seed(**changes)]
        return {task: Said.stack([run[task] for run in runs]) for task in runs[0]}

    # ---- what the notebooks show

    def counts(self) -> pd.DataFrame:
        """Per task: task, kind, train, held-out, test, classes, words (mean), dropped, measured
        by.
        """
        rows = []
        for name, task in self.tasks.items():
            texts = task.train.first + task.train.second
            row = {"task": name, "kind": "pairs" if task.train.second else "texts"}
            row |= {part: len(of_part) for part, of_part in task.parts.items()}
            row |= {
                "classes": str(len(task.labels) or "numbers"),
                "words": np.mean([len(text.split()) for text in texts]),
                "dropped": task.dropped,
                "measured by": ", ".join(self.metrics(name)),
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def examples(self) -> pd.DataFrame:
        """The first training text of each class (of numbers: the first two): task, text, second
        text, label.
        """
        rows = []
        for name, task in self.tasks.items():
            part, first = task.train, {}
            for i, gold in enumerate(part.gold.tolist()):
                label = task.labels[gold] if task.labels else f"{gold:.2f}"
                first.setdefault(gold if task.labels else i, (i, label))
            for _, (i, label) in sorted(first.items())[: len(task.labels) or 2]:
                second = part.second[i] if part.second else ""
                rows.append((name, part.first[i], second, label))
        return pd.DataFrame(rows, columns=["task", "text", "second text", "label"])

    def baselines(self) -> pd.DataFrame:
        """What needs no encoder, trained on all training texts (pairs: joined): task, method,
        metric, score. Not for numbers.
        """
        rows = []
        for name, task in self.tasks.items():
            train, held_out, test = (_joined(part) for part in task.parts.values())
            gold = np.concatenate([task.train.gold, task.held_out.gold])
            metric = self.metrics(name)[0]
            for method in baselines.BASELINES if task.labels else ():
                model = baselines.build(method, train + held_out, gold.tolist())
                predictions = baselines.predict(model, test, len(task.labels)).argmax(-1)
                score = float(METRICS[metric](task.test.gold, predictions))
                rows.append((name, method, metric, score))
        return pd.DataFrame(rows, columns=["task", "method", "metric", "score"])

    def history(self, task: str, encoder: str) -> pd.DataFrame:
        """The learning curve of a first fine-tuning: step, train_loss, held_out."""
        made = self.tuned(task, encoder, self.settings.tuning_seeds[0])
        looks = made.json("notes.json")["history"]
        return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})


def _joined(part: tasks.Texts) -> list[str]:
    """Texts, or pairs as one text."""
    return [" ".join(pair) for pair in zip(part.first, part.second or [""] * len(part))]
