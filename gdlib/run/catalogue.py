"""What there is to choose from, as ``gdlib list`` names it.

Imports where used, so that ``--help`` is there at once.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

from gdlib.core.plans import Plan

SHELVES = {
    "studies": "what can be run (--study)",
    "profiles": "where settings start from (--profile)",
    "corpora": "texts with labels (--corpus)",
    "networks": "pretrained networks (--set teacher=..., --set generator=...)",
    "stages": "the notebooks of the study, in order (--only)",
    "knobs": "every parameter with its default (--set NAME=VALUE)",
}


def shelves_of(study: str) -> dict[str, str]:
    """Every shelf of a study and what stands on it: :data:`SHELVES`, and a shelf for each knob that
    holds names.
    """
    from gdlib.core import settings as config
    from gdlib.run import studies

    plan = studies.plan_of(study)
    knobs = config.knobs(plan.settings)
    chosen = {knob: f"{knobs[knob]['help']} (--set {knob}=A,B)" for knob in choices(plan)}
    return SHELVES | chosen


def choices(plan: Plan) -> dict[str, Mapping[str, str]]:
    """The knobs of a study that hold names, and these names with a line of help each."""
    from gdlib.core import settings as config

    named = {knob: config.choices_of(meta) for knob, meta in config.knobs(plan.settings).items()}
    return {knob: names for knob, names in named.items() if any(names.values())} | plan.choices


def on_shelf(shelf: str, study: str) -> Mapping[str, str]:
    """What stands on a shelf of :func:`shelves_of`: names and a line each."""
    from gdlib.core import settings as config
    from gdlib.run import studies

    if shelf == "studies":
        return {plan.name: f"{plan.title}: {plan.help}" for plan in studies.plans()}
    if shelf == "profiles":
        return {name: values["help"] for name, values in config.profiles(study).items()}
    if shelf == "corpora":
        from gdlib.sources.cards import cards

        return {name: card.line for name, card in cards().items()}
    if shelf == "networks":
        from gdlib.sources.networks import networks

        return {name: card.line for name, card in networks().items()}
    plan = studies.plan_of(study)
    if shelf in choices(plan):
        return choices(plan)[shelf]
    if shelf == "stages":
        return {stage.name: f"{stage.help} [notebooks/{stage.notebook}]" for stage in plan.stages}
    default = plan.settings()
    return {
        _assignment(name, getattr(default, name)): f"{meta['help']} [{meta['stage']}]"
        for name, meta in config.knobs(plan.settings).items()
    }


def _assignment(name: str, value: Any) -> str:
    written = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"{name} = {textwrap.shorten(written, 32, placeholder=' ...')}"
