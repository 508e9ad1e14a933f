"""Language understanding, part of study 3: one run of it, its artifacts, and what its notebooks
show of them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.compare import baselines
from gdlib.compare.results import Results
from gdlib.compare.scores import SCORES, scores_of
from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.networks import tuning
from gdlib.networks.students import parameters
from gdlib.networks.tuning import TuningPlan
from gdlib.sources import senses as wsd
from gdlib.sources import tasks
from gdlib.sources.cards import WORD_IN_CONTEXT
from gdlib.sources.parts import Part
from gdlib.sources.tasks import Task
from gdlib.sources.zoo import Network
from gdlib.studies.shared.knobs import by_name
from gdlib.studies.shared.settings import part_of
from gdlib.studies.understanding.forgetting import Forgetting
from gdlib.studies.understanding.settings import PLAN, Settings


@dataclass(frozen=True)
class TaskResults(Results):
    """What every fine-tuning (an arm is an encoder) predicted of one task's test part.

    Args:
        scores: the names of what the task is measured by, the one that counts first.
    """

    scores: tuple[str, ...] = ()


class ResultsByTask(dict[str, TaskResults]):
    """The results of every task."""

    @classmethod
    def stack(cls, several: Sequence["ResultsByTask"]) -> "ResultsByTask":
        """Of several seeds, whose test parts are the same."""
        return cls({task: Results.stack([one[task] for one in several]) for task in several[0]})


class UnderstandingStudy(Forgetting):
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
        return by_name("tasks", ((task.name, task) for task in loaded))

    @derived
    def _seen(self) -> set[str]:
        """Lemmas of a folder's training data, drawn or not; those of the embedded data are apart
        already.
        """
        if self.settings.corpus == wsd.EMBEDDED:
            return set()
        return {instance.lemma for instance in (*self.senses.train, *self.senses.held_out)}

    def scores(self, task: str) -> tuple[str, ...]:
        """What a task is measured by, the one that counts first."""
        return scores_of(task, len(self.tasks[task].labels))

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
        return self.tasks[task], self.scores(task)[0], network, tuning_seed

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
        s, seed = self.settings, self.seed(tuning_seed)
        plan = part_of(s, TuningPlan, "tuning_", max_length=s.tuning_length, seed=seed)
        model, history = tuning.tune(network, task, plan, SCORES[metric].of)
        np.save(folder / "predictions.npy", tuning.answer(model, network, task, plan))
        notes = {
            "steps": history.best_step,
            "parameters": parameters(model),
            "history": asdict(history),
        }
        (folder / "notes.json").write_text(json.dumps(notes))

    def results(self) -> ResultsByTask:
        """The predictions of every fine-tuning; what is missing is trained now, several at a time:
        encoders first.
        """
        s = self.settings
        self.make_encoders(s.encoders, dict.fromkeys(map(self.model_seed, s.tuning_seeds)))
        names = [
            (task, name, k) for k in s.tuning_seeds for task in self.tasks for name in s.encoders
        ]
        self.make_all("fine_tuned", [self._cell(*cell) for cell in names], "fine-tunings")
        return ResultsByTask({task: self._results_of(task) for task in self.tasks})

    def _results_of(self, task: str) -> TaskResults:
        s, rows, predictions = self.settings, [], []
        for name, tuning_seed in [(name, k) for name in s.encoders for k in s.tuning_seeds]:
            made = self.tuned(task, name, tuning_seed)
            notes = made.json("notes.json")
            row = {"arm": name, "seed": s.seed, "tuning_seed": tuning_seed}
            row |= {column: notes[column] for column in ("steps", "parameters")}
            rows.append(row | {"seconds": made.seconds})
            predictions.append(np.load(made / "predictions.npy"))
        items = pd.DataFrame({"gold": self.tasks[task].test.gold})
        return TaskResults(pd.DataFrame(rows), np.stack(predictions), items, self.scores(task))

    # ---- what the notebooks show

    def examples(self) -> pd.DataFrame:
        """The first training text of each class (of numbers: the first two): task, text, second
        text, label.
        """
        tables = []
        for name, task in self.tasks.items():
            part = task.train
            columns = {"text": part.texts, "second text": part.second or "", "label": part.gold}
            table = pd.DataFrame({"task": name, **columns})
            if task.labels:
                table = table.drop_duplicates("label").sort_values("label")
                words = table["label"].map(dict(enumerate(task.labels)))
            else:
                table = table[:2]
                words = table["label"].map("{:.2f}".format)
            tables.append(table.assign(label=words))
        return pd.concat(tables, ignore_index=True)

    def baselines(self) -> pd.DataFrame:
        """What needs no encoder, trained on all training texts (pairs: joined): task, method,
        metric, score. Not for numbers.
        """
        rows = []
        for name, task in self.tasks.items():
            train, metric = Part.join([task.train, task.held_out]), self.scores(name)[0]
            for method in baselines.BASELINES if task.labels else ():
                model = baselines.build(method, _joined(train), train.gold)
                probabilities = baselines.predict(model, _joined(task.test), len(task.labels))
                score = SCORES[metric].of(task.test.gold, probabilities.argmax(-1))
                rows.append((name, method, metric, score))
        return pd.DataFrame(rows, columns=["task", "method", "metric", "score"])


def _joined(part: Part) -> list[str]:
    """Texts, or pairs as one text."""
    return [" ".join(pair) for pair in zip(part.texts, part.second or [""] * len(part))]
