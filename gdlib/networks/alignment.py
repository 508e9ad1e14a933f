"""Teachers that speak of the same word pieces: ids of one vocabulary as ids of another, checked
piece by piece.

Distributions of two teachers can be combined piece by piece only if both have the same pieces and
cut a text into the same ones. Their ids may differ (MPNet's are those of BERT plus 4), and so may
the names of the special pieces (``[MASK]``, ``<mask>``), which are matched by what they are for.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from gdlib.core.errors import BadSetting

ROLES = ("pad", "unk", "cls", "sep", "mask")
EXPECTED = "expected teachers with the same word pieces, such as minilm-l6 and mpnet-base"


def align(
    reference: PreTrainedTokenizerBase,
    other: PreTrainedTokenizerBase,
    names: tuple[str, str],
    texts: Sequence[str] = (),
) -> Tensor:
    """Of every id of the reference the id of the same piece in the other vocabulary.

    Args:
        reference: the tokenizer whose ids are used everywhere.
        other: a further teacher's.
        names: of the two, for messages.
        texts: to be cut by both, and compared.

    Returns:
        *Shape:* ``[reference pieces]``; a teacher's logits over the reference's pieces are
        ``logits[..., ids]``.

    Raises:
        BadSetting: a tokenizer lacks a special piece, a piece is in one vocabulary alone, or a text
            is cut differently.
    """
    for name, tokenizer in zip(names, (reference, other)):
        if lacking := [role for role in ROLES if getattr(tokenizer, f"{role}_token_id") is None]:
            raise BadSetting(
                f"teacher {name} has no {lacking[0]} piece, so it is no masked language "
                f"model; {EXPECTED}"
            )
    ours, theirs = reference.get_vocab(), other.get_vocab()
    special, their_special = _special(reference), _special(other)
    missing = sorted(piece for piece in ours if piece not in theirs and piece not in special)
    extra = sorted(piece for piece in theirs if piece not in ours and piece not in their_special)
    if missing or extra:
        whose, first = (names[0], missing[0]) if missing else (names[1], extra[0])
        raise BadSetting(
            f"teachers {names[0]} and {names[1]} do not share a vocabulary: "
            f"{len(missing):,} of {len(ours):,} pieces are in {names[0]} "
            f"alone, {len(extra):,} of {len(theirs):,} in {names[1]} alone, such as "
            f'"{first}" ({whose}); {EXPECTED}'
        )
    roles = {
        getattr(reference, f"{role}_token_id"): getattr(other, f"{role}_token_id") for role in ROLES
    }
    ids = torch.full((max(ours.values()) + 1,), other.unk_token_id, dtype=torch.long)
    for piece, index in ours.items():
        ids[index] = roles.get(index, theirs.get(piece, other.unk_token_id))
    _check_cuts(reference, other, names, texts, ids)
    return ids


def _special(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    return {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}


def _check_cuts(
    reference: PreTrainedTokenizerBase,
    other: PreTrainedTokenizerBase,
    names: tuple[str, str],
    texts: Sequence[str],
    ids: Tensor,
) -> None:
    if not texts:
        return
    ours, theirs = (
        tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        for tokenizer in (reference, other)
    )
    for a, b in zip(ours, theirs):
        if ids[a].tolist() != b:
            a, b = reference.convert_ids_to_tokens(a), other.convert_ids_to_tokens(b)
            place = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            one, two = (" ".join(cut[place : place + 3]) or "nothing" for cut in (a, b))
            raise BadSetting(
                f'teachers {names[0]} and {names[1]} cut texts differently: "{one}" against '
                f'"{two}"; {EXPECTED}'
            )
