"""Where a result comes from: parameters and who set them, versions of the software, licences, the
machine.
"""

import json
import os
import platform
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from gdlib.core import settings as config
from gdlib.core.plans import Plan, Task, expand
from gdlib.sources.cards import cards
from gdlib.sources.networks import networks

SOFTWARE = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "datasets",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "sacrebleu",
    "matplotlib",
    "papermill",
    "ray",
)
"""Packages whose version may change a result or a figure."""


def parameters(plan: Plan, tasks: Sequence[Task], profile: str) -> list[dict[str, Any]]:
    """Every knob of a sweep: ``parameter``, ``value``, ``set by`` (default, profile or override),
    ``stage``, ``help``.

    A knob that differs between the runs (corpus, labels_per_class, seed) shows all its values, in
    the order of the runs.
    """
    by_default = expand(plan, plan.settings())
    by_profile = expand(plan, config.build(plan.settings, config.profile(plan.name, profile)))
    rows = []
    for name, meta in config.knobs(plan.settings).items():
        here, default, moved = (_values(some, name) for some in (tasks, by_default, by_profile))
        who = "default" if here == default else "profile" if here == moved else "override"
        value = here[0] if len(here) == 1 else here
        row = {"parameter": name, "value": value, "set by": who}
        rows.append(row | {"stage": meta["stage"], "help": meta["help"]})
    return rows


def _values(tasks: Sequence[Task], name: str) -> list[Any]:
    """The different values (JSON-able) of a knob in the runs; a comparison's settings are derived
    from theirs.
    """
    runs = [task for task in tasks if task.stage.once_a == "run"] or tasks
    written = dict.fromkeys(json.dumps(getattr(task.settings, name)) for task in runs)
    return list(map(json.loads, written))


def licences(tasks: Sequence[Task]) -> pd.DataFrame:
    """Columns ``name``, ``licence`` and ``source`` of every network and corpus that the settings
    name.

    What comes from a folder or a hub has the licence of its owner, and is listed as such.
    """
    known = cards() | networks()
    rows: dict[str, tuple[str, str]] = {}
    for name in config.knobs(tasks[0].settings):
        for value in _values(tasks, name):
            for entry in value if isinstance(value, list) else [value]:
                if not isinstance(entry, str):
                    continue
                if entry in known:
                    rows[entry] = known[entry].licence, known[entry].source
                elif entry.startswith("hub:") or os.sep in entry:
                    source = "hub" if entry.startswith("hub:") else "folder"
                    rows[entry] = "as its owner states", source
    table = [(name, *row) for name, row in rows.items()]
    return pd.DataFrame(table, columns=["name", "licence", "source"])


def versions() -> dict[str, str]:
    """Python and the packages that may change a result."""
    found = {"python": platform.python_version()}
    for name in SOFTWARE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> str:
    """Processor and cores: what a timing must be read with."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    model = named[1] if named else platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}; latencies on one thread"
