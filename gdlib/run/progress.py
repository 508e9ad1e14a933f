"""What a run says of its stages: a line for each, the time that they may take."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gdlib.core.wording import number
from gdlib.run.jobs import Job, numbers_of
from gdlib.run.live import duration


class Progress:
    """The lines of a run of some jobs."""

    def __init__(self, jobs: Iterable[Job]):
        self.waiting = {job.key: job for job in jobs}
        self.total = len(self.waiting)

    def line(self, job: Job, seconds: float | None) -> str:
        """The line of a job that took some seconds, or was up to date; with the time that the
        others may take if that is known::

            [2/6] teacher    wordnet-l100-s0   182 s        held-out accuracy 79.1%
        """
        del self.waiting[job.key]
        count = f"[{self.total - len(self.waiting):{len(str(self.total))}}/{self.total}]"
        spent = "up to date" if seconds is None else duration(seconds)
        stage = f"{count} {job.stage.name:<10} {job.run:<18} {spent:<11}"
        line = f"{stage} {numbers_line(numbers_of(job))}".rstrip()
        left = [job.expected for job in self.waiting.values()]
        if left and seconds is not None and None not in left:
            line += f"   [about {duration(sum(left))} left]"
        return line


def rerun_line(total: int, todo: Sequence[Job]) -> str:
    """What a run would execute of so many jobs, and the time that those which were executed before
    took then::

        a run would execute 3 of 6 stages; the last time they took 12 min
    """
    if not todo:
        return f"all {total} stages are up to date"
    known = [job.expected for job in todo if job.expected]
    spent = duration(sum(known))
    times = f"the last time they took {spent}" if known else "none of them ran before"
    new = f", without {len(todo) - len(known)} that never ran" * (0 < len(known) < len(todo))
    return f"a run would execute {len(todo)} of {total} stages; {times}{new}"


def numbers_line(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    """Key numbers, each with ``value`` and ``unit``, as the report writes them."""
    return " · ".join(f"{name} {number(**given)}" for name, given in numbers.items())


def expected_seconds(
    recipe: Mapping[str, Any], manifests: Iterable[Mapping[str, Any]]
) -> float | None:
    """Seconds that a job may take, by its recipe: what the receipt (of some manifests) of the same
    stage with the most equal settings took.
    """
    alike = [(0, None)]
    for manifest in manifests:
        earlier = manifest["recipe"]
        if all(earlier[name] == recipe[name] for name in ("study", "stage")):
            settings = earlier["settings"]
            equal = [settings.get(name) == value for name, value in recipe["settings"].items()]
            alike.append((1 + sum(equal), manifest["seconds"]))
    return max(alike)[1]
