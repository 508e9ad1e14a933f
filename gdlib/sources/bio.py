"""Tags in BIO form: ``B-LOC`` begins an entity, ``I-LOC`` goes on with it, ``O`` is none."""

from collections.abc import Sequence
from typing import Any

from gdlib.core.errors import BadCorpus

OUTSIDE = "O"
Rows = list[tuple[list[str], list[Any]]]
"""The sentences of one language and split: tokens, and tags as names or as integers."""


def named(where: str, rows: Rows, tag_names: Sequence[str]) -> Rows:
    """Sentences with the names of their tags; checked: there is one, a tag a token, valid BIO. The
    first fault is the message.
    """
    if not rows:
        raise BadCorpus(f"{where} is empty (no sentence)")
    named: Rows = []
    for number, (tokens, tags) in enumerate(rows, 1):
        if not tokens:
            raise BadCorpus(f"{where}: sentence {number} is empty (no token)")
        if len(tokens) != len(tags):
            raise BadCorpus(
                f"{where}: sentence {number} has {len(tokens)} tokens and {len(tags)} tags"
            )
        names = [OUTSIDE]  # what stands before the first token
        for place, (token, tag) in enumerate(zip(tokens, tags), 1):
            if not isinstance(token, str) or not token.strip():
                raise BadCorpus(f"{where}: sentence {number} has an empty token at place {place}")
            here = f"{where}: sentence {number}, place {place}"
            names.append(_tag_name(here, tag, tag_names, before=names[-1]))
        named.append((tokens, names[1:]))
    return named


def _tag_name(where: str, tag: Any, tag_names: Sequence[str], before: str) -> str:
    """The name of a tag, if it may stand after the one before it."""
    if not isinstance(tag, str):
        if not tag_names:
            raise BadCorpus(
                f"{where}: the tag is a number ({tag}), and what it means is not known; put "
                "tags.txt (a tag a line) beside the languages"
            )
        if not 0 <= tag < len(tag_names):
            raise BadCorpus(
                f"{where}: the tag is {tag}; known: 0 to {len(tag_names) - 1} "
                f"({', '.join(tag_names)})"
            )
        tag = tag_names[tag]
    prefix, dash, kind = tag.partition("-")
    if tag != OUTSIDE and (prefix not in ("B", "I") or not dash or not kind):
        raise BadCorpus(f'{where}: "{tag}" is no BIO tag; expected {OUTSIDE}, B-KIND or I-KIND')
    if prefix == "I" and before[2:] != kind:
        raise BadCorpus(
            f'{where}: "{tag}" follows "{before}"; expected B-{kind} or I-{kind} before it (BIO)'
        )
    return tag


def vocabulary(name: str, trains: Sequence[Rows]) -> tuple[str, ...]:
    """All tags that the kinds of entity in the training sentences can have, ``O`` first."""
    used = {tag for rows in trains for _, tags in rows for tag in tags} - {OUTSIDE}
    kinds = sorted({tag[2:] for tag in used})
    if not kinds:
        raise BadCorpus(f"tagged corpus {name}: train has no entity (every tag is {OUTSIDE})")
    return (OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))
