"""A comparison executed again: which work is done."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from gdlib.compare import baselines, stats
from gdlib.core.plans import Plan, expand
from gdlib.core.settings import knobs
from gdlib.networks import costs, distillation
from gdlib.run import pipeline

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WORK = (
    (baselines, "build"),
    (baselines, "linear"),
    (stats, "intervals"),
    (costs, "operations"),
    (costs, "_milliseconds"),
    (distillation, "distil"),
)


def count_work(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each kind of work is done from now on."""
    done = dict.fromkeys((name for _, name in WORK), 0)
    for module, name in WORK:
        original = getattr(module, name)

        def counting(*given, _original=original, _name=name, **named):
            done[_name] += 1
            return _original(*given, **named)

        counting.__wrapped__ = original  # so that the code that recipes see is the original's
        monkeypatch.setattr(module, name, counting)
    return done


def compare(plan: Plan, settings: Any, store: Path) -> dict[str, Any]:
    """The cells of a study's comparison, as a fresh kernel executes them: its variables."""
    names: dict[str, Any] = {}
    for cell in nbformat.read(NOTEBOOKS / plan.stage("compare").notebook, 4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), names)  # noqa: S102
            if "parameters" in cell.metadata.get("tags", []):
                names |= {name: getattr(settings, name) for name in knobs(settings)}
                names["store"] = str(store)
    return names


def recomputes_nothing(one: pipeline.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a finished run has compared is read from its store; its report begins with it."""
    report = (one.folder / "report" / "report.md").read_text("utf-8")
    first = report.partition("## What was found\n")[2].lstrip().partition("\n")[0]
    assert len(first.split()) > 12 and not first.startswith(("|", "#", "!")), first
    monkeypatch.chdir(one.root)
    done = count_work(monkeypatch)
    compare(one.plan, expand(one.plan, one.settings)[-1].settings, one.root / one.store)
    assert not any(done.values()), done
