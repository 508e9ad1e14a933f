"""What there is to choose from, as ``gdlib list`` names it.

Imports where used, so that ``--help`` is there at once.
"""

import textwrap
from collections.abc import Mapping
from typing import Any


def shelves(study: str) -> dict[str, tuple[str, Mapping[str, str]]]:
    """What there is to choose from for a study: of each sort a line on what it is, and its names
    with a line each. Every knob that holds names is a sort.
    """
    from gdlib.core import settings as config
    from gdlib.run import studies
    from gdlib.sources.cards import cards
    from gdlib.sources.networks import networks

    plan = studies.plan_of(study)
    knobs, default = config.knobs(plan.settings), plan.settings()
    choices = {knob: config.choices_of(meta) for knob, meta in knobs.items()} | plan.choices
    shelves = {
        "studies": (
            "what can be run (--study)",
            {each.name: f"{each.title}: {each.help}" for each in studies.plans()},
        ),
        "profiles": (
            "where settings start from (--profile)",
            {name: values["help"] for name, values in config.profiles(plan.name).items()},
        ),
        "corpora": (
            "texts with labels (--corpus)",
            {name: card.line for name, card in cards().items()},
        ),
        "networks": (
            "pretrained networks (--set teacher=..., --set generator=...)",
            {name: card.line for name, card in networks().items()},
        ),
        "stages": (
            "the notebooks of the study, in order (--only)",
            {each.name: f"{each.help} [notebooks/{each.notebook}]" for each in plan.stages},
        ),
        "knobs": (
            "every parameter with its default (--set NAME=VALUE)",
            _by_stage(knobs, default),
        ),
    }
    for knob, names in choices.items():
        if any(names.values()):
            shelves[knob] = f"{knobs[knob]['help']} (--set {knob}=A,B)", names
    return shelves


def _by_stage(knobs: Mapping[str, Mapping[str, Any]], default: Any) -> dict[str, str]:
    """A line for each knob, those of a stage under its name in brackets."""
    stages = dict.fromkeys(meta["stage"] for meta in knobs.values())
    rows = {stage: {f"[{stage}]": ""} for stage in stages}
    for name, meta in knobs.items():
        rows[meta["stage"]][_assignment(name, getattr(default, name))] = meta["help"]
    return {row: line for of_stage in rows.values() for row, line in of_stage.items()}


def _assignment(name: str, value: Any) -> str:
    written = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"{name} = {textwrap.shorten(written, 32, placeholder=' ...')}"
