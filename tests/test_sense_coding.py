"""What an encoder reads of a word, its sentence and a gloss."""

from pathlib import Path

import pytest
import tiny
import torch

from gdlib.networks.sense_coding import Coder, draw_candidates
from gdlib.sources import zoo
from gdlib.sources.senses import Instance
from gdlib.sources.wordnet import gloss

ONE = Instance(
    "x",
    ("He", "sat", "on", "the", "river_bank", "of", "the", "old", "city"),
    4,
    "bank",
    "noun",
    ("bank%1:17:01::",),
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory):
    return zoo.tokenizer(zoo.locate(str(tiny.encoder(tmp_path_factory.mktemp("encoder")))))


def whole(tokenizer, length: int = 2000) -> Coder:
    return Coder(tokenizer, length)


def test_a_pair_is_the_papers_with_prefix_and_quotes_where_they_belong(tokenizer) -> None:
    """Against the tokenizer's own pieces of the two texts spelt out: the published code cut the
    prefix one piece off.
    """
    coder = whole(tokenizer)
    (coded,) = coder.code([ONE])
    assert len(coded.glosses) == 10
    for place, sense in enumerate(ONE.candidates):
        ids, second, target = coder.pair(coded, place)
        left, right = (
            'He sat on the " river bank " of the old city',
            f"river bank : {sense.definition}",
        )
        expected = [
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (left, right)
        ]
        assert ids == [coder.cls, *expected[0], coder.sep, *expected[1], coder.sep]
        assert second == len(expected[0]) + 2
        of_target = [id for id, own in zip(ids[1:], target) if own]
        assert of_target == tokenizer("river bank", add_special_tokens=False)["input_ids"]


def test_glosses_say_synonyms_and_examples_where_they_are_asked_to(tokenizer) -> None:
    side = ONE.candidates[0]
    assert (side.lemma, side.synset) == ("bank", "noun:09213565")
    assert gloss(side, "definition") == side.definition
    assert gloss(side, "synonyms") == side.definition  # no other word has this sense
    assert gloss(side, "examples") == " ; ".join([side.definition, *side.examples])
    money = ONE.candidates[1]
    others = "banking company, banking concern, depository financial institution"
    assert gloss(money, "synonyms") == f"{money.definition} ; {others}"
    (coded,) = Coder(tokenizer, 2000, gloss_text="synonyms").code([ONE])
    text = f"river bank : {gloss(money, 'synonyms')}"
    assert coded.glosses[1] == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_unmarked_pairs_are_the_two_texts_as_they_are(tokenizer) -> None:
    coder = Coder(tokenizer, 2000, marked=False)
    (coded,) = coder.code([ONE])
    texts = ("He sat on the river bank of the old city", ONE.candidates[1].definition)
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert coder.pair(coded, 1)[0] == [coder.cls, *expected[0], coder.sep, *expected[1], coder.sep]
    context, target = coder.context(coded, 12)
    assert (
        len(context) == 12
        and [piece for piece, is_target in zip(context, target) if is_target] == coded.target
    )


def test_the_prefix_may_be_the_lemma(tokenizer) -> None:
    (coded,) = whole(tokenizer).code([ONE], prefix="lemma")
    assert tokenizer.decode(coded.glosses[0]).startswith("bank : sloping land")


@pytest.mark.parametrize("room", [200, 40, 25, 13, 12])
def test_the_target_stays_whole_and_the_far_ends_go(tokenizer, room: int) -> None:
    coder = whole(tokenizer)
    (coded,) = coder.code([ONE])
    ids, target = coder.context(coded, room)
    full = [*coded.left, *coder.quote, *coded.target, *coder.quote, *coded.right]
    assert len(ids) == min(room, len(full)) and len(target) == len(ids)
    assert [piece for piece, is_target in zip(ids, target) if is_target] == coded.target
    start = target.index(True)
    assert ids[start - 1] == ids[start + len(coded.target)] == coder.quote[0]
    at = len(coded.left) + 1 - start  # where the window lies in the whole
    assert ids == full[at : at + len(ids)]
    if len(full) > room:
        kept_left, kept_right = start - 1, len(ids) - start - len(coded.target) - 1
        assert (
            kept_left == len(coded.left)
            or kept_right == len(coded.right)
            or abs(kept_left - kept_right) <= 1
        )


def test_inputs_attend_to_every_piece_and_never_to_padding(
    tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "token_type_ids" not in whole(tokenizer, 60).pairs(
        [(whole(tokenizer).code([ONE])[0], 0)]
    )  # this tokenizer makes none
    monkeypatch.setattr(
        tokenizer, "model_input_names", ["input_ids", "token_type_ids", "attention_mask"]
    )
    coder = whole(tokenizer, 60)
    short = Instance("y", ("a", "bank"), 1, "bank", "noun", ("bank%1:17:01::",))
    rows = coder.code([ONE, short])
    inputs = coder.pairs([(rows[0], 0), (rows[1], 4)])
    for row, (coded, place) in enumerate(((rows[0], 0), (rows[1], 4))):
        ids, second, _ = coder.pair(coded, place)
        assert len(ids) <= 60
        assert inputs["input_ids"][row].tolist() == ids + [tokenizer.pad_token_id] * (
            inputs["input_ids"].shape[1] - len(ids)
        )
        assert inputs["attention_mask"][row].tolist() == [1] * len(ids) + [0] * (
            inputs["input_ids"].shape[1] - len(ids)
        )
        assert inputs["token_type_ids"][row].nonzero().flatten().tolist() == list(
            range(second, len(ids))
        )
    maskable = coder.maskable(inputs)
    special = torch.isin(
        inputs["input_ids"], torch.tensor([coder.cls, coder.sep, tokenizer.pad_token_id])
    )
    assert torch.equal(maskable, ~special)


@pytest.mark.real
def test_a_pair_of_the_real_encoder_is_what_its_tokenizer_makes(tmp_path: Path) -> None:
    coder = Coder(zoo.tokenizer(zoo.locate("minilm-l6")), 160)
    (coded,) = coder.code([ONE])
    gloss = f"river bank : {ONE.candidates[0].definition}"
    expected = coder.tokenizer(
        'He sat on the " river bank " of the old city', gloss, return_tensors="pt"
    )
    inputs = coder.pairs([(coded, 0)])
    assert inputs.pop("second").long().tolist() == expected["token_type_ids"].tolist()
    assert {name: t.tolist() for name, t in inputs.items()} == {
        name: t.tolist() for name, t in expected.items()
    }


def test_every_right_gloss_and_some_wrong_ones() -> None:
    gold = (False, True, False, False, True, False)
    assert draw_candidates(gold, 0, [0]) == [0, 1, 2, 3, 4, 5]
    drawn = [draw_candidates(gold, 2, [seed]) for seed in range(50)]
    assert all(len(one) == 4 and {1, 4} <= set(one) for one in drawn)
    assert {place for one in drawn for place in one} == set(range(6))
    assert draw_candidates(gold, 2, [7]) == draw_candidates(gold, 2, [7])
