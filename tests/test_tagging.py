"""Pieces and tags, the tagging teacher and its signals, and the students, on a tiny encoder."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch.nn import functional as F

from gdlib.core.errors import BadSetting, StaleArtifact
from gdlib.learn import schedules
from gdlib.learn.loop import Regime
from gdlib.learn.losses import StagedLoss
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import signals
from gdlib.networks import tagger as tagging
from gdlib.networks.distillation import distil_by, predict_tags
from gdlib.networks.embeddings import piece_vectors
from gdlib.networks.lessons import Source, join
from gdlib.networks.names import EMBEDDINGS
from gdlib.networks.recurrent import BiLSTM, Projected
from gdlib.networks.students import Vocabulary
from gdlib.networks.tagger import LOST
from gdlib.networks.teacher import TeacherPlan
from gdlib.sources import tagged, zoo
from gdlib.sources.tagged import Sentences

TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
PLAN = TeacherPlan(epochs=8, lr=3e-3, batch=16, max_length=40, seed=0)


def part(number: int, seed: int) -> Sentences:
    rows = [
        (language, *row)
        for language in tiny.TAGGED
        for row in tiny.tagged_rows(language, number, seed)
    ]
    return Sentences(
        [t for _, t, _ in rows],
        [[TAGS.index(tag) for tag in tags] for *_, tags in rows],
        [language for language, *_ in rows],
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> zoo.Network:
    return zoo.locate(str(tiny.tagger(tmp_path_factory.mktemp("tagger"))))


@pytest.fixture(scope="module")
def folder(network: zoo.Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tuned")
    tagging.fine_tune(network, part(60, 0), part(20, 1), TAGS, PLAN, 0, True, path)
    return path


@pytest.fixture(scope="module")
def teacher(folder: Path) -> tagging.Tagger:
    return tagging.Tagger.load(folder)


# ---- pieces and tags


def test_a_tag_stands_at_the_first_piece_of_its_token(network: zoo.Network) -> None:
    tokenizer = zoo.tokenizer(network)
    encoded = tagging.encode(tokenizer, [["tora", "vano", "ka"], ["ka", "\u200b", "fani"]], 40)
    assert [tokenizer.convert_ids_to_tokens(row) for row in encoded.pieces] == [
        ["tora", "v", "##a", "##n", "##o", "ka"], ["ka", "f", "##a", "##n", "##i"]
    ]  # fmt: skip
    assert encoded.first == [[0, 1, 5], [0, LOST, 1]]  # a zero-width space has no piece
    assert encoded.places == [[0, 1, 5], [0, 1]] and encoded.cut == 0
    assert encoded.tags([1, 2, 3, 4, 1]) == [[1, 2, 3], [4, 0, 1]]
    assert encoded.labels([[1, 2, 3], [4, 9, 1]]) == [1, 2, 3, 4, 1]


def test_long_sentences_are_cut_and_counted(network: zoo.Network) -> None:
    encoded = tagging.encode(
        zoo.tokenizer(network), [["tora", "vano", "ka"], ["ka", "tora"]], 6
    )  # four pieces
    assert encoded.cut == 1 and [len(row) for row in encoded.pieces] == [4, 2]
    assert encoded.first == [[0, 1, LOST], [0, 1]]
    assert encoded.tags([1, 2, 3, 4]) == [[1, 2, 0], [3, 4]]


# ---- teacher


def test_the_teacher_learns_at_first_pieces_and_leaves_frozen_embeddings_alone(
    teacher: tagging.Tagger, network: zoo.Network, folder: Path
) -> None:
    test = part(30, 2)
    predictions = teacher.encode(test).tags(teacher.token_signals(test).predicted.tolist())
    right = np.mean(
        [a == b for row, gold in zip(predictions, test.tags) for a, b in zip(row, gold)]
    )
    assert right > 0.9
    before = zoo.encoder(network).get_input_embeddings().weight
    assert torch.equal(teacher.embedding, before)
    assert teacher.labels == TAGS
    moved = teacher.network.state_dict()["bert.encoder.layer.0.output.dense.weight"]
    assert not torch.equal(
        moved, zoo.encoder(network).state_dict()["encoder.layer.0.output.dense.weight"]
    )


def test_embeddings_that_are_not_frozen_are_trained(network: zoo.Network, tmp_path: Path) -> None:
    tagging.fine_tune(
        network,
        part(10, 0),
        part(4, 1),
        TAGS,
        TeacherPlan(epochs=1, lr=1e-3, batch=8, max_length=40, seed=0),
        1,
        False,
        tmp_path,
    )
    tuned = tagging.Tagger.load(tmp_path)
    assert not torch.equal(tuned.embedding, zoo.encoder(network).get_input_embeddings().weight)
    assert len(tuned.network.bert.encoder.layer) == tuned.network.config.num_hidden_layers == 1


def test_a_depth_that_the_network_does_not_have(network: zoo.Network) -> None:
    whole, half = zoo.tagger(network, TAGS), zoo.tagger(network, TAGS, 1)
    assert len(whole.bert.encoder.layer) == 2 and len(half.bert.encoder.layer) == 1
    assert torch.equal(
        half.bert.encoder.layer[0].output.dense.weight,
        whole.bert.encoder.layer[0].output.dense.weight,
    )
    with pytest.raises(BadSetting, match=r'^network ".*" has 2 layers; 3 asked for$'):
        zoo.tagger(network, TAGS, 3)


@pytest.mark.parametrize("start", EMBEDDINGS)
def test_students_start_from_what_a_tagger_knows_of_a_piece(
    teacher: tagging.Tagger, start: str
) -> None:
    """Every named start takes a tagger; its outputs against a forward pass of each piece alone."""
    vocabulary = Vocabulary((5, 9, 12, 7, 20))
    vectors = piece_vectors(start, teacher, vocabulary)
    assert (vectors is None) == (start == "random")
    if start != "outputs":
        return
    for piece, vector in zip(vocabulary.teacher_ids, vectors, strict=True):
        ids = torch.tensor(
            [[teacher.tokenizer.cls_token_id, piece, teacher.tokenizer.sep_token_id]]
        )
        with torch.no_grad():
            states = teacher.network(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(vector, states[0].mean(0), atol=0.05, rtol=0.05)


def test_signals_are_those_of_one_sentence_alone(teacher: tagging.Tagger) -> None:
    """Item by item, against a forward pass of each sentence by itself, without padding."""
    sentences = part(5, 3)
    targets = teacher.token_signals(sentences, (1,), batch=4)
    logits, states = [], []
    for tokens in sentences.tokens:
        inputs = teacher.tokenizer(
            tokens, is_split_into_words=True, return_tensors="pt", return_token_type_ids=False
        )
        with torch.no_grad():
            out = teacher.network(**inputs, output_hidden_states=True)
        words = inputs.word_ids(0)
        first = [words.index(number) for number in range(len(tokens))]
        logits.append(out.logits[0, first])
        states.append(out.hidden_states[1][0, first])
    tolerance = 0.05  # where the hardware has bf16, products run in it
    torch.testing.assert_close(targets.logits, torch.cat(logits), atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(
        targets.states[1].float(), torch.cat(states), atol=tolerance, rtol=tolerance
    )
    assert targets.states[1].dtype == torch.float16


def test_signals_on_disk_are_checked(teacher: tagging.Tagger, tmp_path: Path) -> None:
    sentences = part(3, 4)
    targets = teacher.token_signals(sentences, (2,))
    targets.save(tmp_path)
    read = signals.load(tmp_path, TAGS, sentences.texts)
    assert torch.equal(read.logits, targets.logits) and torch.equal(
        read.states[2], targets.states[2]
    )
    with pytest.raises(StaleArtifact, match="are of other texts than the 6 given"):
        signals.load(tmp_path, TAGS, sentences.texts[::-1])
    with pytest.raises(StaleArtifact, match="expected, in this order: I-PER"):
        signals.load(tmp_path, TAGS[::-1], sentences.texts)
    with pytest.raises(
        BadSetting,
        match=r"teacher_layers = \(7,\): the teacher has the layers 0 \(its embeddings\) to 2",
    ):
        teacher.token_signals(sentences, (7,))


# ---- students


def source(teacher: tagging.Tagger, sentences: Sentences, labelled: bool) -> Source:
    encoded, targets = teacher.encode(sentences), teacher.token_signals(sentences, (1,))
    labels = (
        torch.tensor(encoded.labels(sentences.tags))
        if labelled
        else torch.full((len(targets.logits),), -1)
    )
    return Source(
        VOCABULARY.rows(encoded.pieces), targets.logits, labels, targets.states[1], encoded.places
    )


VOCABULARY = Vocabulary(tuple(range(400)))


def test_a_batch_holds_what_is_told_at_the_places_of_its_items(teacher: tagging.Tagger) -> None:
    whole = source(teacher, part(4, 5), True)
    chosen = whole.rows([6, 1])
    batch = chosen.batch()
    assert batch["pieces"].shape == batch["items"].shape
    for row, number in enumerate([6, 1]):
        places = whole.places[number]
        assert torch.nonzero(batch["items"][row]).flatten().tolist() == places
        one = whole.rows([number])
        assert torch.equal(batch["labels"][row, places], one.labels)
        assert torch.equal(batch["teacher_logits"][row, places], one.teacher_logits)
        assert torch.equal(batch["teacher_states"][row, places], one.teacher_states.float())
    unlabelled = source(teacher, part(4, 5), False)
    assert torch.equal(unlabelled.pseudo_labelled().labels, unlabelled.teacher_logits.argmax(-1))
    assert torch.equal(whole.pseudo_labelled().labels, whole.labels)


def test_the_loss_of_a_batch_is_that_of_its_items(teacher: tagging.Tagger) -> None:
    """The joint loss by hand, sentence by sentence without padding; items weigh alike."""
    chosen = join([source(teacher, part(2, 6), True), source(teacher, part(1, 7), False)])
    torch.manual_seed(0)
    network = Projected(
        BiLSTM(len(VOCABULARY), len(TAGS), 8, 6, 0.0, "none"), teacher.network.config.hidden_size
    ).eval()
    value = schedules.batch_loss(StagedLoss(2.0, 3.0, 0.5), network, chosen.batch())
    with torch.no_grad():
        outs = [network(torch.tensor([row])) for row in chosen.pieces]
    z = torch.cat([logits[0, places] for (logits, _), places in zip(outs, chosen.places)])
    u = torch.cat([projected[0, places] for (_, projected), places in zip(outs, chosen.places)])
    known = chosen.labels >= 0
    hard = F.cross_entropy(z[known], chosen.labels[known])
    soft = 0.5 * (z - chosen.teacher_logits).square().sum(-1).mean()
    states = (u - chosen.teacher_states.float()).square().mean()
    torch.testing.assert_close(value, 2.0 * hard + 3.0 * states + 0.5 * soft, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["D0", "D2", "D4.2", "hard"])
def test_a_student_learns_to_tag(teacher: tagging.Tagger, name: str) -> None:
    torch.manual_seed(1)
    student = BiLSTM(len(VOCABULARY), len(TAGS), 16, 16, 0.1, "none")
    targets = (
        source(teacher, part(20, 8), True),
        source(teacher, part(40, 9), False),
        source(teacher, part(10, 10), True),
    )
    regime = Regime(steps=180, lr=0.02, evaluate_every=20, seed=1)
    trace = distil_by(STRATEGIES[name], student, StagedLoss(), *targets, regime, 16, "linear")
    assert trace["stage"].nunique() == len(STRATEGIES[name].stages)
    test = part(20, 11)
    encoded = teacher.encode(test)
    predictions = encoded.tags(
        predict_tags(student, VOCABULARY.rows(encoded.pieces), encoded.places, batch=7).tolist()
    )
    right = np.mean(
        [a == b for row, gold in zip(predictions, test.tags) for a, b in zip(row, gold)]
    )
    assert right > 0.8
    assert all(p.requires_grad for p in student.parameters())


def test_what_a_student_says_does_not_depend_on_the_batch(teacher: tagging.Tagger) -> None:
    torch.manual_seed(2)
    student = BiLSTM(len(VOCABULARY), len(TAGS), 8, 6, 0.0, "none").eval()
    targets = source(teacher, part(6, 12), True)
    alone = np.concatenate(
        [
            predict_tags(student, [row], [places])
            for row, places in zip(targets.pieces, targets.places)
        ]
    )
    assert np.array_equal(alone, predict_tags(student, targets.pieces, targets.places, batch=5))


def test_tiny_sentences_are_valid(tmp_path: Path) -> None:
    corpus = tagged.load(str(tiny.tagged_corpus(tmp_path)))
    assert corpus.tags == TAGS and corpus.languages == ("aa", "bb")
