"""Language understanding, part of study 3: one run of it, its artifacts, and what its notebooks
show of them.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from gdlib.compare import baselines
from gdlib.compare.task_metrics import METRICS, metrics_of
from gdlib.core.code import code_digest
from gdlib.core.processes import in_processes
from gdlib.core.store import Artifact, Store
from gdlib.networks import tuning as task_tuning
from gdlib.networks.students import parameters
from gdlib.networks.tuning import TuningPlan
from gdlib.sources import senses as wsd
from gdlib.sources import tasks
from gdlib.sources.corpora import Part
from gdlib.sources.tasks import Task
from gdlib.studies.shared.encoders import LexicalEncoders
from gdlib.studies.shared.settings import EncoderSettings, part_of
from gdlib.studies.shared.study import Study
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


class UnderstandingStudy(Study):
    """One run: one set of encoders, one draw of every task's texts.

    Each method gives the finished thing, and makes what is missing.
    """

    plan = PLAN
    settings: Settings

    @cached_property
    def encoders(self) -> LexicalEncoders:
        return LexicalEncoders(part_of(self.settings, EncoderSettings), self.store)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """By name, in the order of the settings."""
        s = self.settings
        sizes = tasks.Sizes(s.train_texts, s.held_out_share, s.test_texts)
        found = [
            tasks.load(name, sizes, s.seed, self._seen if name == tasks.WORD_IN_CONTEXT else ())
            for name in s.tasks
        ]
        return {task.name: task for task in found}

    @cached_property
    def _seen(self) -> set[str]:
        """Lemmas of a folder's training data, drawn or not; those of the embedded data are apart
        already.
        """
        if self.settings.corpus == wsd.EMBEDDED:
            return set()
        data = wsd.load(self.settings.corpus, self.settings.seed)
        return {one.lemma for one in (*data.train, *data.held_out)}

    def tuning_plan(self, tuning_seed: int) -> TuningPlan:
        s = self.settings
        seed = int(np.random.SeedSequence([s.seed, tuning_seed]).generate_state(1)[0])
        return TuningPlan(
            s.tuning_epochs,
            s.tuning_lr,
            s.tuning_batch,
            s.tuning_length,
            s.tuned_layers,
            s.tuning_pooling,
            seed,
        )

    def model_seed(self, tuning_seed: int) -> int:
        """Which lexical training a fine-tuning stands on: the settings' model seeds in turn."""
        s = self.settings
        return s.model_seeds[s.tuning_seeds.index(tuning_seed) % len(s.model_seeds)]

    def tuned(self, task: str, encoder: str, tuning_seed: int) -> Artifact:
        """One fine-tuning: what it says of the test part (``said.npy``), its history, its size."""
        of, plan = self.tasks[task], self.tuning_plan(tuning_seed)
        network = self.encoders.encoder_network(encoder, self.model_seed(tuning_seed))
        recipe = {
            "plan": asdict(plan),
            "network": network.digest,
            "task": [of.name, of.digest],
            "code": code_digest("gdlib.networks.tuning"),
        }

        def build(folder: Path) -> None:
            metric = METRICS[metrics_of(of.name, len(of.labels))[0]]
            model, history = task_tuning.tune(network, of, plan, metric)
            np.save(folder / "said.npy", task_tuning.answer(model, network, of, plan))
            notes = {
                "steps": history.best_step,
                "parameters": parameters(model),
                "history": asdict(history),
            }
            (folder / "notes.json").write_text(json.dumps(notes))

        return self.store.make("understanding", recipe, build)

    def said(self) -> dict[str, Said]:
        """Of every task, what every fine-tuning says; what is missing is trained now, several at a
        time: encoders first.
        """
        s = self.settings
        self.encoders.make_encoders(s.encoders, dict.fromkeys(map(self.model_seed, s.tuning_seeds)))
        jobs = [
            (task, encoder, seed)
            for seed in s.tuning_seeds
            for task in self.tasks
            for encoder in s.encoders
        ]
        jobs = self.store.missing(self.tuned, jobs)
        with tqdm(
            total=len(jobs), desc="fine-tunings", unit="network", mininterval=2.0, disable=not jobs
        ) as bar:
            for _ in in_processes(_tune_one, [(s, self.store.root, *job) for job in jobs]):
                bar.update()
        return {name: self._said_of(name) for name in self.tasks}

    def _said_of(self, name: str) -> Said:
        s, task, rows, said = self.settings, self.tasks[name], [], []
        for encoder in s.encoders:
            for seed in s.tuning_seeds:
                artifact = self.tuned(name, encoder, seed)
                notes = artifact.json("notes.json")
                rows.append(
                    {
                        "encoder": encoder,
                        "seed": s.seed,
                        "tuning_seed": seed,
                        "steps": notes["steps"],
                        "parameters": notes["parameters"],
                    }
                )
                rows[-1]["seconds"] = artifact.seconds
                said.append(np.load(artifact / "said.npy"))
        return Said(
            pd.DataFrame(rows), np.stack(said), task.test.gold, metrics_of(name, len(task.labels))
        )

    # ---- what the notebooks show

    def counts(self) -> pd.DataFrame:
        """A row a task: task, kind, train, held-out, test, classes, words (mean), dropped, measured
        by.
        """
        rows = []
        for name, task in self.tasks.items():
            words = np.mean([len(text.split()) for text in task.train.first + task.train.second])
            row = {"task": name, "kind": "pairs" if task.train.second else "texts"} | {
                part: len(of) for part, of in task.parts.items()
            }
            row |= {
                "classes": len(task.labels) or "numbers",
                "words": words,
                "dropped": task.dropped,
            }
            rows.append(row | {"measured by": ", ".join(metrics_of(name, len(task.labels)))})
        return pd.DataFrame(rows).astype({"classes": str})

    def examples(self) -> pd.DataFrame:
        """The first training text of each class (of numbers: the first two): task, text, second
        text, label.
        """
        rows = []
        for name, task in self.tasks.items():
            part = task.train
            chosen = [
                int(np.argmax(part.gold == one))
                for one in range(len(task.labels))
                if (part.gold == one).any()
            ] or [0, 1]
            for i in chosen:
                told = task.labels[part.gold[i]] if task.labels else f"{part.gold[i]:.2f}"
                rows.append(
                    {
                        "task": name,
                        "text": part.first[i],
                        "second text": part.second[i] if part.second else "",
                        "label": told,
                    }
                )
        return pd.DataFrame(rows)

    def baselines(self) -> pd.DataFrame:
        """What needs no encoder, trained on all training texts (pairs: joined): task, method,
        metric, score. Not for numbers.
        """
        rows = []
        for name, task in self.tasks.items():
            parts = (task.train, task.held_out, task.test)
            texts = [
                [" ".join(both) for both in zip(part.first, part.second or [""] * len(part))]
                for part in parts
            ]
            for method in baselines.BASELINES if task.labels else ():
                gold = np.concatenate([task.train.gold, task.held_out.gold])
                model = baselines.build(method, Part(texts[0] + texts[1], gold.tolist()))
                said = baselines.predict(model, texts[2], len(task.labels)).argmax(-1)
                metric = metrics_of(name, len(task.labels))[0]
                rows.append(
                    {
                        "task": name,
                        "method": method,
                        "metric": metric,
                        "score": float(METRICS[metric](task.test.gold, said)),
                    }
                )
        return pd.DataFrame(rows, columns=["task", "method", "metric", "score"])

    def history(self, task: str, encoder: str) -> pd.DataFrame:
        """The learning curve of a first fine-tuning: step, train_loss, held_out."""
        looks = self.tuned(task, encoder, self.settings.tuning_seeds[0]).json("notes.json")[
            "history"
        ]
        return pd.DataFrame({name: looks[name] for name in ("step", "train_loss", "held_out")})

    def over_seeds(self, **changes: Any) -> dict[str, Said]:
        """What was said by the runs of all seeds, by task."""
        runs = [one.said() for one in self.each_seed(**changes)]
        return {task: Said.stack([run[task] for run in runs]) for task in runs[0]}


@lru_cache(maxsize=1)
def _study(settings: Settings, root: Path) -> UnderstandingStudy:
    return UnderstandingStudy(settings, Store(root))


def _tune_one(settings: Settings, root: Path, task: str, encoder: str, tuning_seed: int) -> None:
    """One fine-tuning in a process of its own; it is kept in the store."""
    _study(settings, root).tuned(task, encoder, tuning_seed)
