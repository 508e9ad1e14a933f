"""What a run says of its stages: a line for each, the time that they may take."""

from collections.abc import Iterable, Mapping
from typing import Any

from gdlib.core.store import Store
from gdlib.run.jobs import Job, Outcome
from gdlib.run.live import duration


class Progress:
    """The lines of a run of some jobs."""

    def __init__(self, jobs: Iterable[Job]):
        self.waiting = {job.key: job for job in jobs}
        self.total = len(self.waiting)

    def line(self, job: Job, outcome: Outcome) -> str:
        """The line of a finished job, with the time that the others may take if that is known::

        [2/6] teacher    wordnet-l100-s0   182 s        held-out accuracy 79.1%
        """
        del self.waiting[job.key]
        count = f"[{self.total - len(self.waiting):{len(str(self.total))}}/{self.total}]"
        spent = duration(outcome.seconds) if outcome.executed else "up to date"
        stage = f"{count} {job.stage:<10} {job.run:<18} {spent:<11}"
        return f"{stage} {numbers_line(outcome.numbers)}".rstrip() + self._left(outcome)

    def _left(self, outcome: Outcome) -> str:
        left = [job.expected for job in self.waiting.values()]
        if not left or not outcome.executed or None in left:
            return ""
        return f"   [about {duration(sum(filter(None, left)))} left]"


def numbers_line(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    """Key numbers, each with ``value`` and ``unit``, as a reader wants them: a share in percent,
    others with four digits and their unit.
    """
    return " · ".join(f"{name} {_number(**number)}".rstrip() for name, number in numbers.items())


def _number(value: float | int | str, unit: str) -> str:
    if isinstance(value, float):
        return f"{value:.1%}" if unit == "share" else f"{value:.4g} {unit}"
    return f"{value:,} {unit}" if isinstance(value, int) else f"{value} {unit}"


def expectations(jobs: Iterable[Job], store: Store, study: str) -> dict[str, float]:
    """Seconds that each job may take, by its key: what the receipt of the same stage with the most
    equal settings took.
    """
    earlier: dict[str, list[tuple[dict[str, Any], float]]] = {}
    for _, manifest in store.manifests("stages"):
        recipe = manifest["recipe"]
        if recipe["study"] == study:
            earlier.setdefault(recipe["stage"], []).append(
                (recipe["settings"], manifest["seconds"])
            )
    expected = {}
    for job in jobs:
        settings = job.recipe["settings"].items()
        alike = [
            (sum(theirs.get(name) == value for name, value in settings), seconds)
            for theirs, seconds in earlier.get(job.stage, [])
        ]
        if alike:
            expected[job.key] = max(alike)[1]
    return expected
