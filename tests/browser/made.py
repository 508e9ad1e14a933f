"""Made samples that look like a run's, hostile texts included: for the explorer's tests and for
trying it in a browser.
"""

import time

import numpy as np
import pandas as pd

LABELS = ("business", "entertainment", "politics", "sport", "technology & science")
HOSTILE = (
    "<script>document.title = 'hacked'; window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1"> shares fell <b>3%</b> & rose again',
    (
        "costs $5 and $10, or \\(x^2\\), or $$\\frac{1}{2}$$ **bold** "
        "[link](javascript:window.hacked=1)"
    ),
    "</div></span></td></table><style>* { display: none }</style> the end",
    "a" * 300 + " one long word",
    "\u202ereversed \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 and \U0001f600 emoji",
    "' onmouseover='window.hacked=1' \" onclick=\"window.hacked=1",
)
WORDS = {
    0: (
        "Shares in the bank",
        "profits",
        "the oil group",
        "its quarterly earnings",
        "investors",
        "after a weak dollar hit exports",
    ),
    1: (
        "The director",
        "a new film",
        "the singer",
        "an award in London",
        "the festival",
        "after topping the album chart",
    ),
    2: (
        "The minister",
        "the election",
        "MPs",
        "a bill on pensions",
        "the party",
        "after a heated debate in parliament",
    ),
    3: (
        "The striker",
        "the final",
        "the home side",
        "a late winner",
        "the coach",
        "after a third defeat in a row",
    ),
    4: (
        "The browser",
        "a security flaw",
        "researchers",
        "the open source chip",
        "the probe",
        "after a test in orbit",
    ),
}
VERBS = (
    "said on Tuesday that",
    "was told by",
    "has praised",
    "is looking at",
    "lost to",
    "beat",
    "will sell",
    "wants",
)


def sentence(rng: np.random.Generator, label: int) -> str:
    words = WORDS[label] if rng.random() < 0.85 else WORDS[int(rng.integers(len(LABELS)))]
    a, b, c = rng.choice(words[:5], 3, replace=False)
    text = f"{a} {rng.choice(VERBS)} {b}, {rng.choice(VERBS)} {c} {words[5]}."
    return text[0].upper() + text[1:]


def samples(count: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A table of generated texts with half as many real and 40 labelled ones, vectors of length one
    and a student's logits. *Shape:* ``(texts, width)`` and ``(texts, classes)``
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(LABELS), size=count)
    texts = [sentence(rng, int(label)) for label in labels]
    for k, hostile in enumerate(HOSTILE[: count // 3]):
        texts[3 * k] = hostile
    logits = (rng.normal(size=(count, len(LABELS))) + 3.0 * np.eye(len(LABELS))[labels]).astype(
        np.float32
    )
    fates = rng.choice(
        [
            "kept",
            "empty",
            "cut off",
            "duplicate",
            "near-duplicate",
            "in labelled set",
            "in test set",
            "low confidence",
        ],
        p=[0.72, 0.01, 0.06, 0.05, 0.07, 0.02, 0.03, 0.04],
        size=count,
    ).astype(object)
    fates[: 3 * len(HOSTILE)] = "kept"
    texts = ["" if fate == "empty" else text for text, fate in zip(texts, fates, strict=True)]
    unseen = np.isin(fates, ["empty", "cut off", "duplicate", "near-duplicate"])
    logits[unseen] = np.nan
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame(
        {
            "text": texts,
            "fate": fates,
            "teacher_logits": list(logits),
            "teacher_label": [
                -1 if gone else int(row.argmax()) for gone, row in zip(unseen, logits, strict=True)
            ],
            "confidence": shares.max(1),
            "entropy": -(shares * np.log(shares)).sum(1),
        }
    )
    student = np.where(unseen[:, None], 0, np.nan_to_num(logits)) + rng.normal(
        scale=1.2, size=logits.shape
    )
    table["source"], table["gold"] = "generated", -1
    gold = rng.integers(len(LABELS), size=40 + count // 2)
    own = np.log(0.9) * np.eye(len(LABELS)) + np.log(0.025) * (1 - np.eye(len(LABELS)))
    real = pd.DataFrame(
        {
            "text": [sentence(rng, int(label)) for label in gold],
            "fate": None,
            "teacher_logits": list(own[gold]),
            "teacher_label": gold,
            "confidence": 0.9,
            "entropy": 0.47,
            "source": ["labelled"] * 40 + ["real"] * (count // 2),
            "gold": [*gold[:40], *[-1] * (count // 2)],
        }
    )
    table = pd.concat([table, real], ignore_index=True)
    student = np.concatenate([student, own[gold]])
    kinds = np.concatenate([labels, gold])
    vectors = 3 * np.eye(16)[kinds] + rng.normal(size=(len(table), 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[table["fate"] == "empty"] = 0
    places = np.clip((vectors[:, :2] @ [[1, 0.4], [-0.4, 1]] + 1) / 2, 0, 1)
    places[table["fate"] == "empty"] = np.nan
    places = {"x": places[:, 0], "y": places[:, 1]}
    # Texts that begin alike are in a group.
    starts, rows = table["text"].str[:24], table.index.to_series()
    table["group"] = (
        rows.groupby(starts).transform("first").where(table["source"] == "generated", -1)
    )
    return table.assign(**places, distance=rng.random(len(table))), vectors, student


def ask(text: str) -> dict[str, np.ndarray]:
    """Stands where teacher and student are asked: longer texts are more about sport."""
    logits = np.array([0, 0, 0, len(text) / 20, 0])
    return {"teacher": logits, "student": logits[::-1] / 2}


def train(rows: list[int], steps: int = 40) -> dict[str, float | int]:
    """Stands where a real training stands: a progress bar, a few seconds, a result."""
    from tqdm import tqdm

    for _ in tqdm(range(steps), desc="student", unit="step"):
        time.sleep(0.05)
    return {"accuracy": 0.834, "baseline_accuracy": 0.829, "texts": len(rows), "macro_f1": 0.8312}
