"""What a command line asks for, as a run; and a run as the command line that does it again."""

import os
import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gdlib.run.inputs import possible_folders

StudyOption = Annotated[
    str, typer.Option(help="Which study: gdlib list studies.", show_default=True)
]
ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="Where the settings start from: gdlib list profiles.")
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", "-s", metavar="NAME=VALUE", help="Move a knob: gdlib list knobs. May be repeated."
    ),
]
CorpusOption = Annotated[
    list[str], typer.Option(help="bbc, movies, wordnet, a folder, or hub:NAME. Repeated: a sweep.")
]
SeedOption = Annotated[
    list[int], typer.Option(help="Seed of splits and training. Repeated: a sweep.")
]
StoreOption = Annotated[Path, typer.Option(help="Folder of the artifacts; runs may share it.")]


class EngineName(StrEnum):
    local = "local"
    ray = "ray"


def run_of(
    study: str,
    profile: str,
    assignments: Sequence[str],
    corpus: Sequence[str],
    seed: Sequence[int],
    store: Path,
    command: str,
) -> Any:
    """The :class:`gdlib.run.pipeline.Run` of some options: the profile, then ``--set``, then
    ``--corpus`` and ``--seed``.
    """
    from gdlib.core import settings as config
    from gdlib.run import pipeline, studies

    plan = studies.plan_of(study)
    root = pipeline.project_root(plan)
    overrides = config.parse(plan.settings, assignments)
    if corpus:
        overrides |= {"corpus": corpus[0], "corpora": corpus[1:] and corpus}
    if seed:
        overrides |= {"seed": seed[0], "seeds": seed[1:] and seed}
    overrides = {name: from_root(root, value) for name, value in overrides.items()}
    settings = pipeline.settings_of(plan, profile, overrides)
    return pipeline.Run(
        plan, settings, profile, root, from_root(root, store), command, say=typer.echo
    )


def from_root(root: Path, value: Any) -> Any:
    """A path, seen from here, as seen from the project's folder: notebooks run there.

    Other values as they are.
    """
    if isinstance(value, (list, tuple)):
        return tuple(from_root(root, item) for item in value)
    if isinstance(value, Path):
        inside = value.absolute().is_relative_to(root)
        return os.path.relpath(value, root) if inside else str(value.absolute())
    for path in possible_folders(value):
        folder = Path(path).expanduser()
        if folder.is_dir() and (os.sep in path or Path.cwd() != root):
            seen = str(folder) if folder.is_absolute() else os.path.relpath(folder, root)
            return seen + value.removeprefix(path)
    return value


def command_line(
    name: str,
    study: str,
    profile: str,
    options: Mapping[str, Sequence[Any]],
    store: Path,
    engine: EngineName = EngineName.local,
    ray_address: str | None = None,
) -> str:
    """The command line that does the same again.

    ``--force`` is left out: going on must not start anew.
    """
    words = ["gdlib", name]
    words += ["--study", study] if study != "generation" else []
    words += ["--profile", profile] if profile != "quick" else []
    for option, values in options.items():
        for value in values:
            words += [option, str(value)]
    words += ["--store", str(store)] if store != Path("runs/store") else []
    words += ["--engine", engine] if engine is not EngineName.local else []
    words += ["--ray-address", ray_address] if ray_address else []
    return shlex.join(words)
