"""Spinners: forms of synonyms, what is left alone, the draw by the seed; infilling against a
forward pass by hand.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from gdlib.core import settings as config
from gdlib.core.errors import BadSetting, UnknownName
from gdlib.networks.gloss_vectors import text_vectors
from gdlib.networks.infilling import Infiller, choose_words, draw, mask_words, preferences
from gdlib.networks.mlm_teachers import MaskedLM, MaskedTeacher
from gdlib.networks.names import SPINNERS
from gdlib.networks.spinners import SpinPlan
from gdlib.sources import synonyms, words, zoo
from gdlib.sources.wordnet import candidates
from gdlib.studies.paraphrase.settings import Settings

PLAN = SpinPlan(synonym_every=1, filled_share=0.5, filled_top=3, filled_nearness=0.0, seed=0)


def spin(
    name: str, texts: Sequence[str], plan: SpinPlan, infiller: Callable[[], Infiller] | None
) -> list[str]:
    return SPINNERS[name].spin(texts, plan, infiller)


@pytest.mark.parametrize(
    ("lemma", "pos", "ending", "form"),
    [
        ("stop", "verb", "ing", "stopping"),
        ("carry", "verb", "ed", "carried"),
        ("carry", "verb", "s", "carries"),
        ("go", "verb", "s", "goes"),
        ("die", "verb", "ing", "dying"),
        ("agree", "verb", "ing", "agreeing"),
        ("agree", "verb", "ed", "agreed"),
        ("say", "verb", "ed", "said"),
        ("take", "verb", "ed", None),
        ("make", "verb", "ing", "making"),
        ("box", "noun", "s", "boxes"),
        ("child", "noun", "s", "children"),
        ("day", "noun", "s", "days"),
        ("city", "noun", "s", "cities"),
        ("happy", "adj", "er", "happier"),
        ("nice", "adj", "est", "nicest"),
        ("beautiful", "adj", "er", None),
        ("cat", "noun", "", "cat"),
        ("good", "adj", None, None),
    ],
)
def test_inflection(lemma: str, pos: str, ending: str | None, form: str | None) -> None:
    assert synonyms.inflect(lemma, pos, ending) == form


def test_synonyms_share_a_synset_and_take_the_words_form() -> None:
    assert synonyms.synonyms("movies") == ("films", "flicks", "pics", "pictures")
    assert synonyms.synonyms("stopped") == ("halted",)
    assert synonyms.synonyms("xqzzt") == ()
    of_movie = {sense.synset for sense in candidates("movie", "noun")}
    for word in synonyms.synonyms("movie"):
        assert of_movie & {sense.synset for sense in candidates(word, "noun")}, word


def test_names_numbers_and_punctuation_are_left_alone() -> None:
    plain = [
        word.group()
        for word in words.words_of(
            'The BBC film, by Smith in 2004. "Great" movies don\'t end; McKay left.'
        )
    ]
    assert plain == ["The", "film", "by", "in", "Great", "movies", "end", "left"]


def test_a_word_glued_to_a_number_is_none() -> None:
    assert [
        word.group() for word in words.words_of("the 50th film of the 1980s made 30bn and x2rise")
    ] == ["the", "film", "of", "the", "made", "and"]


def test_every_so_manieth_word_is_replaced_in_its_case() -> None:
    text = "Movies are great and the film stopped in London."
    places = [word.group() for word, _ in words.replaceable(text)]
    assert places == ["Movies", "great", "film", "stopped"]
    (spun,) = spin("dictionary", [text], PLAN, None)
    before, after = text.split(), spun.split()
    assert [a for a, b in zip(before, after) if a != b] == ["Movies", "great", "film", "stopped"]
    assert after[0] in ("Films", "Flicks", "Pics", "Pictures") and spun.endswith(
        "halted in London."
    )
    half = [
        spin("dictionary", [text], SpinPlan(2, 0.5, 3, 0.0, seed), None)[0].split()
        for seed in range(20)
    ]
    changed = {tuple(a for a, b in zip(before, one) if a != b) for one in half}
    assert changed == {("Movies", "film"), ("great", "stopped")}


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60), st.integers(1, 4))
def test_a_dictionary_changes_no_number_of_words_and_nothing_twice(text: str, every: int) -> None:
    plan = SpinPlan(every, 0.5, 3, 0.0, 1)
    (spun,) = spin("dictionary", [text], plan, None)
    assert len(spun.split()) == len(text.split())
    assert (spun != text) == bool(words.replaceable(text))
    assert spin("dictionary", [text], plan, None) == [spun]


@pytest.fixture(scope="module")
def infiller(tmp_path_factory: pytest.TempPathFactory) -> Infiller:
    network = zoo.locate(str(tiny.encoder(tmp_path_factory.mktemp("encoder"))))
    torch.manual_seed(0)
    tokenizer = zoo.tokenizer(network)
    guessed = torch.arange(3, len(tokenizer))  # columns are not ids
    model = MaskedLM(zoo.encoder(network), guessed, torch.zeros(len(guessed))).eval()
    torch.nn.init.normal_(model.head.bias, std=2.0)
    return Infiller(
        MaskedTeacher("tiny", model, torch.arange(len(tokenizer)), tokenizer.pad_token_id),
        tokenizer,
        32,
    )


def test_infilling_takes_the_likeliest_other_word_of_a_pass_over_masks(infiller: Infiller) -> None:
    text, plan = "The cat hunts fish by a house", SpinPlan(1, 1.0, 1, 0.0, 0)
    (spun,) = spin("masked-lm", [text], plan, lambda: infiller)
    before, after = text.split(), spun.split()
    changed = [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
    assert changed == [1, 2, 3, 6], "content words alone"
    masked = " ".join("[MASK]" if i in changed else word for i, word in enumerate(before))
    ids = infiller.tokenizer(masked, return_tensors="pt")
    at = torch.where(ids["input_ids"] == infiller.tokenizer.mask_token_id, 0, -1)
    with torch.inference_mode():
        logits = infiller.teacher.model(
            **{name: ids[name] for name in ("input_ids", "attention_mask")}, positions=at
        )

    def allowed(word: str) -> bool:
        return word.isalpha() and len(word) > 1 and word not in ENGLISH_STOP_WORDS

    for row, place in zip(logits, changed):
        order = infiller.tokenizer.convert_ids_to_tokens(
            infiller.teacher.model.guessed[row.argsort(descending=True)].tolist()
        )
        assert after[place] == next(
            word for word in order if allowed(word) and word[:4] != before[place][:4]
        )


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "cat 50th dogs' naïve [MASK] don't fish. 30bn ﬁsh—rain 東京cat guitar é -snow".split()
        ),
        min_size=1,
        max_size=40,
    )
)
def test_infilling_keeps_the_number_of_words_whatever_stands_there(
    infiller: Infiller, words: list[str]
) -> None:
    text = " ".join(words)
    (spun,) = spin("masked-lm", [text], SpinPlan(1, 1.0, 2, 0.0, 0), lambda: infiller)
    assert len(spun.split()) == len(words)
    kept = {"[MASK]", "50th", "30bn", "é", "don't"}
    assert [word for word in spun.split() if word in kept] == [
        word for word in words if word in kept
    ]


def test_words_are_chosen_that_begin_with_a_piece_and_were_not_cut_off() -> None:
    text, none = "cats hunt fish today", np.random.default_rng(0)
    spans = [(0, 0), (0, 4), (5, 7), (7, 9), (11, 14), (15, 18), (0, 0)]
    chosen = choose_words(text, spans, 1.0, none)
    assert [word.group() for word in chosen] == ["cats", "hunt"], "fish has no piece at its start"
    assert len(choose_words(text, spans, 0.5, none)) == 1
    assert choose_words("the and", [(0, 0), (0, 3), (4, 7), (0, 0)], 1.0, none) == []


def test_all_pieces_of_a_word_become_one_mask() -> None:
    spans = [(0, 0), (0, 2), (2, 4), (5, 9), (0, 0)]
    (word, _) = words.words_of("cats hunt")
    hidden = mask_words([2, 11, 12, 13, 3], spans, [word], mask=4)
    assert (hidden.pieces, hidden.masks) == ([2, 4, 13, 3], [1])


def test_preferences_exclude_forms_of_the_word_and_what_is_no_content_word(infiller) -> None:
    pieces = infiller.pieces
    logits = preferences(["guitars"], torch.zeros(1, len(pieces)), 1.0, infiller)[0]
    for piece in ("guitar", "the", "##a", "?"):
        assert logits[pieces.index(piece)] == -torch.inf
    near = infiller.embedding[infiller.guessed] @ infiller.embedded("guitars")
    violin = pieces.index("violin")
    assert logits[violin] == pytest.approx(near[violin].item())


def test_a_draw_is_among_the_likeliest() -> None:
    logits = torch.tensor([[0.0, 5.0, 4.0], [9.0, -torch.inf, 0.0]])
    random = torch.Generator().manual_seed(0)
    assert draw(logits, 1, random) == [1, 0]
    assert {draw(logits, 2, random)[0] for _ in range(30)} == {1, 2}


def test_infilling_is_decided_by_the_seed_and_not_by_what_is_beside(infiller: Infiller) -> None:
    texts = [text for label in ("animals", "food") for text in tiny.texts_of(label, 20, 0)]
    one, same, other = (
        spin("masked-lm", texts, SpinPlan(1, 0.5, 3, 0.0, seed), lambda: infiller)
        for seed in (0, 0, 1)
    )
    assert one == same != other
    best = SpinPlan(1, 1.0, 1, 0.0, 0)
    alone = [spin("masked-lm", [text], best, lambda: infiller)[0] for text in texts[:5]]
    assert spin("masked-lm", texts, best, lambda: infiller)[:5] == alone


def test_nearness_prefers_words_like_the_hidden_one(infiller: Infiller) -> None:
    """In the tiny encoder words of a class have like embeddings: with a large weight a word becomes
    one of its class.
    """
    own = set(tiny.CLASSES["animals"].split())
    near, blind = (
        spin(
            "masked-lm",
            ["the cat and the dog and the bird"] * 20,
            SpinPlan(1, 1.0, 1, weight, 0),
            lambda: infiller,
        )[0].split()
        for weight in (1000.0, 0.0)
    )
    assert [near[i] in own for i in (1, 4, 7)].count(True) > [
        blind[i] in own for i in (1, 4, 7)
    ].count(True)


def test_shares_of_changed_words_and_likeness_of_texts(tmp_path: Path) -> None:
    assert words.changed_share("a b c d", "a x c y") == 0.5
    network = zoo.locate(str(tiny.encoder(tmp_path)))
    texts = ["the cat", "rain and snow", "the cat", "a guitar concert"]
    before, after = text_vectors(network, texts, 32).chunk(2)
    same, other = (before * after).sum(-1).tolist()
    assert same == pytest.approx(1.0, abs=1e-2) and other < same - 0.01


def test_what_is_wrong_is_said_in_one_line() -> None:
    with pytest.raises(
        UnknownName, match='unknown spinner "spinbot"; known: dictionary, masked-lm, structure'
    ):
        spin("spinbot", ["a text"], PLAN, None)
    for name in ("synonym_every", "filled_top"):
        with pytest.raises(BadSetting, match=f"{name} = 0: expected a number from 1"):
            config.build(Settings, {name: 0})
