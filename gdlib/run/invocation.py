"""What a command line asks for, as a run; and a run as the command line that does it again."""

import os
import shlex
from collections.abc import Callable
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from gdlib.run.inputs import possible_folders

StudyOption = Annotated[
    str, typer.Option(help="Which study: gdlib list studies.", show_default=True)
]
StoreOption = Annotated[Path, typer.Option(help="Folder of the artifacts; runs may share it.")]

NOT_REPEATED = {"force", "shown", "publish", "render", "only_write"}
"""Options left out of the command that goes on with a run: it must not start anew, and it does not
write a report of some stages alone.
"""


def choose(
    command: str,
    study: StudyOption = "generation",
    profile: Annotated[
        str,
        typer.Option("--profile", "-p", help="Where the settings start from: gdlib list profiles."),
    ] = "quick",
    assignments: Annotated[
        list[str],
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            help="Move a knob: gdlib list knobs. May be repeated.",
        ),
    ] = [],
    corpus: Annotated[
        list[str],
        typer.Option(help="bbc, movies, wordnet, a folder, or hub:NAME. Repeated: a sweep."),
    ] = [],
    seed: Annotated[
        list[int], typer.Option(help="Seed of splits and training. Repeated: a sweep.")
    ] = [],
    store: StoreOption = Path("runs/store"),
) -> Any:
    """The :class:`gdlib.run.pipeline.Run` of some options: the profile, then ``--set``, then
    ``--corpus`` and ``--seed``; ``command`` is the command line that does it again.
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


def on_a_run(command: Callable[..., None]) -> Callable[..., None]:
    """A command on a run: it has the options of :func:`choose` before its own, and its first
    argument is a function that gives the run which they choose.
    """
    _, *shared = signature(choose).parameters.values()
    _, *own = signature(command).parameters.values()

    @wraps(command)
    def invoked(context: typer.Context, **options: Any) -> None:
        chosen = {option.name: options.pop(option.name) for option in shared}
        command(partial(choose, command_line(context), **chosen), **options)

    context = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    needed = [option for option in own if option.default is Parameter.empty]  # stand first
    others = [option for option in own if option not in needed]
    invoked.__signature__ = Signature([context, *needed, *shared, *others])
    return invoked


def command_line(context: typer.Context) -> str:
    """The ``gdlib run`` that does the same again, from the options that were given to a command."""
    words = ["gdlib", "run"]
    for option in context.command.params:
        is_given = context.get_parameter_source(option.name).name == "COMMANDLINE"
        is_option = option.param_type_name == "option"  # no argument of export
        if is_given and is_option and option.name not in NOT_REPEATED:
            value = context.params[option.name]
            for each in value if isinstance(value, (list, tuple)) else [value]:
                words += [option.opts[0], str(each)]
    return shlex.join(words)


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
