"""Texts built otherwise of the same content words: sentences and clauses change places, "the N's M"
becomes "the M of the N" and the other way round, "A and B" becomes "B and A", and phrases of
function words become others.

No parser is asked. A rule fits where its pattern does, and patterns are narrow, so that what comes
out can be read. Not done: passives, questions, sentences of many clauses.
"""

import re
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from gdlib.sources.synonyms import reading

PHRASES = dict(
    line.strip().split(" > ")
    for line in """
        a lot of > plenty of
        about the > concerning the
        after the > following the
        again > once more
        almost > nearly
        also > likewise
        although > even though
        always > at all times
        as if > as though
        as well as > along with
        because > given that
        because of > owing to
        before the > prior to the
        but > yet
        can't > cannot
        couldn't > could not
        didn't > did not
        doesn't > does not
        don't > do not
        due to > owing to
        during the > in the course of the
        everyone > everybody
        for example > for instance
        however > nevertheless
        had to > needed to
        has to > needs to
        have to > need to
        i'm > I am
        in order to > so as to
        instead of > in place of
        isn't > is not
        it's a > it is a
        it's an > it is an
        it's not > it is not
        it's the > it is the
        just > merely
        kind of > sort of
        less than > under
        more than > over
        most of the > the greater part of the
        near the > close to the
        no one > nobody
        often > oftentimes
        one of the > among the
        perhaps > maybe
        really > truly
        several > a number of
        so that > in such a way that
        someone > somebody
        sometimes > at times
        such as > like
        that's > that is
        there are > there exist
        there is > there exists
        throughout the > all through the
        together with > along with
        unless > except if
        until > till
        very > quite
        wasn't > was not
        whether > whether or not
        whether or not > whether
        which are > that are
        which is > that is
        while > whilst
        with the > along with the
        won't > will not
        wouldn't > would not
    """.strip().splitlines()
)
PHRASES |= {
    f"{old} {word}": f"{new} {word}"
    for old, new in (("in", "within"), ("on", "upon"))
    for word in ("the", "a", "an", "this", "his", "her", "its", "their", "my")
}
"""Phrases of function words, and what is said for them."""

SENTENCES = re.compile(r"(?<=[a-z0-9)]{3}[.!?])\s+(?=[\"'“(]?[A-Z])")
ENDED = (*".!?\"'”)",)
LEADS = (
    "according to|after|although|as|at|because|before|by|despite|during|for|from|if|in|on|since|"
    "though|unless|until|when|while|with|without"
)
CLAUSES = "although|because|during|since|though|unless|until|when|while"
FRONTED = re.compile(rf"((?:{LEADS})\b[^,.;:]{{5,70}}), ([^,.;:]{{12,}})([.!?])", re.IGNORECASE)
TRAILING = re.compile(rf"(\w[^,.;:]{{12,}}?),? ((?:{CLAUSES}) [^,.;:]{{8,}}|in \d{{4}})([.!?])")
FOLLOWING = "|".join(sorted(ENGLISH_STOP_WORDS - {"of"}))
ENDS = rf"(?=[^\w\s'’-]|$|\s(?:{FOLLOWING})(?![\w'’-]))"
"""What follows a word that is not part of a longer name: punctuation or a stop word."""
PLACES = re.compile(
    rf"(?<![\w'’-])(?:"
    rf"(?P<phrase>(?i:{'|'.join(sorted(map(re.escape, PHRASES), key=len, reverse=True))}))"
    rf"(?![\w'’-])"
    rf"|[Tt]he (?P<owner>[a-z]+)'s (?P<owned>[a-z]+){ENDS}"
    rf"|[Tt]he (?P<part>[a-z]+) of the (?P<whole>[a-z]+){ENDS}"
    rf"|(?P<one>[a-z]{{2,}}) (?P<link>and|or) (?P<other>[a-z]{{2,}}){ENDS})"
)


def opening(text: str, words: int) -> str:
    """A text's first sentences, of at most so many words together; one at least."""
    ends = [*(space.start() for space in SENTENCES.finditer(text)), len(text)]
    return text[: max(end for end in ends if end == ends[0] or len(text[:end].split()) <= words)]


def rebuilt(texts: Sequence[str], seed: int) -> list[str]:
    """Texts changed at every place where a rule fits, in their order; one of no such place stays
    as it is. The seed decides how far sentences move.
    """
    return [_rebuilt(text, np.random.default_rng([seed, row])) for row, text in enumerate(texts)]


def _rebuilt(text: str, random: np.random.Generator) -> str:
    """The first sentence stays, as it names what the others speak of; these turn round by one place
    or more, unless the last one was cut off. White space between sentences stays where it is.
    """
    first, *others = map(_turned, SENTENCES.split(text))
    if len(others) > 1 and others[-1].endswith(ENDED):
        first_place = random.integers(1, len(others))
        others = others[first_place:] + others[:first_place]
    pairs = zip(SENTENCES.findall(text), others, strict=True)
    return first + "".join(space + other for space, other in pairs)


def _turned(sentence: str) -> str:
    """Its first clause becomes the last or its last one the first; then the changes within."""
    if match := FRONTED.fullmatch(sentence):
        lead, main, end = match.groups()
        sentence = f"{_capital(main)} {_small(lead)}{end}"
    elif match := TRAILING.fullmatch(sentence):
        main, clause, end = match.groups()
        sentence = f"{_capital(clause)}, {_small(main)}{end}"
    return PLACES.sub(_in_place, sentence)


def _in_place(match: re.Match[str]) -> str:
    old, found = match.group(), match.groupdict()
    phrase, owner, owned, part, whole, one, link, other = found.values()
    new = old
    if phrase:
        new = PHRASES[old.lower()]
    elif owner and _kinds(owner, owned) == {"noun"}:
        new = f"the {owned} of the {owner}"
    elif part and _kinds(part, whole) == {"noun"}:
        new = f"the {whole}'s {part}"
    elif link and len(kinds := _kinds(one, other)) == 1 and kinds != {""}:
        new = f"{other} {link} {one}"
    return _capital(new) if old[0].isupper() else new


def _kinds(*words: str) -> set[str]:
    """The parts of speech of words; "" for a stop word and for one that is not known."""
    content = [word.lower() in ENGLISH_STOP_WORDS or reading(word.lower()) for word in words]
    return {"" if known in (True, None) else known[1] for known in content}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _small(text: str) -> str:
    """With a small first letter, unless the first word may be a name."""
    word = text.split()[0]
    plain = word.lower() in ENGLISH_STOP_WORDS and word != "I"
    return text[0].lower() + text[1:] if plain else text
