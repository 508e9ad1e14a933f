"""Vocabularies that are one but for ids and names, and three that are not."""

import pytest
import tiny
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from gdlib.core.errors import BadSetting
from gdlib.networks.alignment import align


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return AutoTokenizer.from_pretrained(tiny.encoder(tmp_path_factory.mktemp("bert")))


def other(pieces, lowercase=True):
    """A tokenizer like MPNet's: special pieces of other names before and after."""
    vocabulary = {
        piece: index for index, piece in enumerate(("<s>", "<pad>", "</s>", *pieces, "<mask>"))
    }
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="[UNK]",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
    )


def pieces_of(bert):
    return sorted(bert.get_vocab(), key=bert.get_vocab().get)


def test_ids_are_shifted_and_special_pieces_matched_by_role(bert):
    shifted = other(pieces_of(bert))
    ids = align(bert, shifted, ("bert", "mpnet"), ["the cat and a dog", "Rain!"])
    vocabulary = bert.get_vocab()
    ordinary = [
        index for piece, index in vocabulary.items() if not piece.startswith("[") or len(piece) == 1
    ]
    assert ids[ordinary].tolist() == [index + 3 for index in ordinary]
    assert ids[bert("the cat")["input_ids"]].tolist() == shifted("the cat")["input_ids"]
    assert (
        ids[bert.mask_token_id] == shifted.mask_token_id
        and ids[bert.pad_token_id] == shifted.pad_token_id
    )
    assert len(set(ids.tolist())) == len(vocabulary)  # no two pieces meet
    assert torch.equal(
        align(bert, bert, ("bert", "bert"), ["the cat"]), torch.arange(len(vocabulary))
    )


def test_a_vocabulary_that_lacks_pieces_or_has_others_is_refused(bert):
    short = other([piece for piece in pieces_of(bert) if piece not in ("cat", "dog")])
    with pytest.raises(BadSetting) as error:
        align(bert, short, ("one", "two"))
    assert str(error.value) == (
        f"teachers one and two do not share a vocabulary: 2 of {len(bert):,} pieces are in "
        f"one alone, 0 of {len(bert) + 2:,} in two alone, "
        'such as "cat" (one); expected teachers with the same word pieces, such as '
        "minilm-l6 and mpnet-base"
    )
    with pytest.raises(
        BadSetting,
        match=r'0 of .* pieces are in one alone, 1 of .* in two alone, such as "zebra" \(two\)',
    ):
        align(bert, other([*pieces_of(bert), "zebra"]), ("one", "two"))


def test_texts_that_are_cut_differently_are_refused(bert):
    cased = other(pieces_of(bert), lowercase=False)
    align(bert, cased, ("one", "two"), ["the cat"])
    with pytest.raises(
        BadSetting,
        match=r'^teachers one and two cut texts differently: "cat and" against "\[UNK\] and"',
    ) as error:
        align(bert, cased, ("one", "two"), ["the cat", "the Cat and"])
    assert "\n" not in str(error.value)


def test_a_network_without_a_mask_is_refused(bert, tmp_path):
    causal = AutoTokenizer.from_pretrained(tiny.causal(tmp_path))
    with pytest.raises(
        BadSetting, match="^teacher gpt has no unk piece, so it is no masked language model"
    ):
        align(bert, causal, ("bert", "gpt"))
