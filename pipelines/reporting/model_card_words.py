"""What a model card says in words that no number changes: the corpora, what they bear, and what must not be done.

Only what is certain stands here. The law is mentioned by article and number, so that it can be looked up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.recipe import Recipe


@dataclass(frozen=True)
class CorpusWords:
    """A corpus for those who were not there.

    Attributes:
        title: its name.
        what: who was recorded, and where the labels come from.
        licence: on what terms, and what that means for a model trained on it.
        limits: what follows for whoever uses the model.
    """

    title: str
    what: str
    licence: str
    limits: tuple[str, ...]


_RESTRICTED = (
    "The recordings are given out on request, for non-commercial research, under an agreement "
    "(`data/README.md` of mtpkd says where). Whether a model trained on them may be passed on, and under which "
    "licence, is decided by that agreement: read it before you share this file, and ask its authors where it is silent."
)
_DRAWN = (
    "Every face, movement and signal was drawn by a program. This model has never seen a human face: it shows that the "
    "software works, and nothing that it says of a person means anything.",
)
_DRAWN_LICENCE = "Rendered by mtpkd itself (MIT licence); no person is in it."

_CORPORA: Mapping[str, CorpusWords] = {
    "biovid": CorpusWords(
        title="BioVid Heat Pain Database",
        what=(
            "healthy adult volunteers in a laboratory, filmed from the front while heat was applied at temperatures "
            "found for each of them; a label is the level of the stimulus, not what was felt"
        ),
        licence=_RESTRICTED,
        limits=(
            "The pain was induced, short, and in healthy volunteers who had agreed to it. Nothing is known of clinical "
            "or chronic pain, of children, of the old, of people who cannot speak or move their face.",
            "The label is the heat. Many people feel pain without showing it, some show it without pain: a low "
            "score is no evidence that a person feels none.",
        ),
    ),
    "affwild2": CorpusWords(
        title="Aff-Wild2, valence-arousal track",
        what=(
            "videos of people collected from the web; a label is the valence and arousal that annotators saw in a "
            "frame, not what the person felt"
        ),
        licence=_RESTRICTED,
        limits=(
            "The label is what others saw in a face. Expression is not feeling: a face can be posed, polite, "
            "suppressed, or mean something else in another culture.",
            "People in videos on the web know that they are watched; how people look who do not is another matter.",
        ),
    ),
    "synthetic": CorpusWords(
        "a synthetic corpus in BioVid's layout", "drawn faces with simulated signals", _DRAWN_LICENCE, _DRAWN
    ),
    "synthetic-affwild2": CorpusWords(
        "a synthetic corpus in Aff-Wild2's layout", "drawn faces with synthesised voices", _DRAWN_LICENCE, _DRAWN
    ),
}
_OWN = CorpusWords(
    title="a corpus of the user's own",
    what="recordings that a manifest lists; who was recorded, and how they were labelled, is not known to mtpkd",
    licence=(
        "Not known to mtpkd. Whoever passes this model on has to know on what terms the recordings may be used, and "
        "what the people in them agreed to."
    ),
    limits=("A label is what its author wrote down, which need not be what the person felt.",),
)


def corpus_words(recipe: Recipe) -> CorpusWords:
    """Of the corpus that a recipe reads."""
    return _CORPORA.get(recipe.corpus.name, _OWN)


OUT_OF_SCOPE = (
    "**No diagnosis, no triage, no decision about treatment.** It is no medical device, and was not validated as one.",
    "**No decision about a person** at work, in education, insurance, justice, at borders, or who cannot refuse.",
    "**No lie detector, no test of character, no surveillance,** and nobody who has not agreed to be filmed for this.",
    "**No verdict on whether somebody's pain or feeling is real.** What a person says of it comes first.",
)
FACES = (
    "It sees only faces that the detector finds. A hand, a mask, a beard, a turned head, little light, a low "
    "resolution or a medical device on the face change what it sees; a window without a face gets no value.",
    "How it does by skin tone is not known: the corpora that mtpkd reads do not record it, so nothing could be "
    "measured. The same holds for every other trait that is not in the tables above.",
    "The intervals are over test groups. They do not cover other cameras, places, cultures, or kinds of people than "
    "those of the corpus.",
)
LAW = (
    "In the European Union, Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), prohibits systems that infer emotions "
    "of people at the workplace and in education, except for medical or safety reasons; other emotion recognition is "
    "listed as high-risk (Annex III, 1(c)), and people exposed to it must be told (Article 50(3)). Recital 18 does not "
    "count physical states such as pain among emotions. Images of a face, and what is read from them, may be personal "
    "data. This is no legal advice."
)
