from dataclasses import replace
from math import nan

import pytest
import yaml

from pipelines.corpora import task_of
from pipelines.metrics import Estimate, metrics_for
from pipelines.recipe.loading import load_recipe
from pipelines.reporting.model_card import CardFacts, GraphFacts, TrainingFacts, render_model_card
from pipelines.reporting.model_card_numbers import Numbers, Result
from pipelines.reporting.strata import Stratum
from pipelines.reporting.table import ResultRow

GRAPH = GraphFacts(name="student.onnx", format="onnx", difference=3.2e-7, windows=(1, 4), frames=(10, 11))
TRAINING = TrainingFacts(
    groups=60,
    validation=10,
    clips=2400,
    place=(2, 0),
    teachers="aligned",
    hallucinates=True,
    description="structure of the best teacher",
)


def estimate(value, low=nan, high=nan):
    return Estimate(value, low, high, groups=10, resamples=100, undefined=0)


def stratum(attribute, name, groups, value, difference):
    return Stratum(attribute, name, groups, 20 * groups, {"mt-pkdot": value}, {"mt-pkdot": difference})


def facts_of(name, numbers="the student was not evaluated: run `mtpkd evaluate`.", calibration=None):
    recipe = load_recipe(name)
    return CardFacts(
        recipe=recipe,
        task=task_of(recipe.corpus),
        method="mt-pkdot",
        training=TRAINING,
        graph=GRAPH,
        calibration=calibration,
        numbers=numbers,
        protocol="5 folds by subject, 1 seed",
    )


@pytest.fixture
def numbers():
    """Of accuracy: worse for women, and for one of 17 groups."""
    metric = metrics_for(task_of(load_recipe("biovid").corpus))[0]
    own = ResultRow(
        "mt-pkdot", "student", 340, 17, 0.7345, 0.65, 0.81, 0.031, -0.01, 0.07, verdict="no detectable gain"
    )
    baseline = ResultRow("none", "student", 340, 17, 0.7035, 0.61, 0.79)
    strata = [
        stratum("sex", "women", 8, estimate(0.61, 0.5, 0.7), estimate(-0.1, -0.2, -0.02)),
        stratum("sex", "men", 9, estimate(0.8, 0.7, 0.9), estimate(0.1, 0.05, 0.2)),
        stratum("age", "36-50", 3, estimate(0.5), estimate(0.0)),
        stratum("age", "51-65", 3, None, None),
    ]
    return Numbers(
        headline=metric,
        rows={metric.name: Result(metric, own, baseline, 0.8)},
        strata=strata,
        harmed=(1, 17),
        calibration={"ece": 0.041, "ece_untempered": 0.112},
        models=5,
    )


def header(card):
    return yaml.safe_load(card.split("---")[1])


def test_numbers_stand_with_their_intervals(numbers):
    card = render_model_card(facts_of("biovid", numbers))
    assert "| accuracy % | 73.5 [65.0, 81.0] | +3.1 [-1.0, +7.0] | 70.3 | 80.0 |" in card
    assert "340 clips of 17 groups" in card
    assert "5 in all, trained alike" in card
    assert "**no detectable gain**" in card
    (model,) = header(card)["model-index"]
    name = "accuracy, 5 cross-validated models of which this is one"
    assert model["results"][0]["metrics"][0] == {"type": "accuracy", "value": 0.7345, "name": name}
    assert "**What its teachers saw:** faces, eda" in card


def test_it_says_who_it_works_worse_for(numbers):
    card = render_model_card(facts_of("biovid", numbers))
    assert "| sex | women | 8 | 61.0 [50.0, 70.0] | -10.0 [-20.0, -2.0] | worse than visual only |" in card
    assert "| sex | men | 9 | 80.0 [70.0, 90.0] | +10.0 [+5.0, +20.0] | better than visual only |" in card
    assert "| age | 36-50 | 3 | 50.0 | +0.0 | too few groups to say |" in card
    assert "By sex, the worst value is that of women: 61.0." in card
    assert "By age, the worst" not in card
    assert "Worse than visual only for 1 of 17 test groups" in card


def test_what_is_unknown_is_said_to_be(numbers):
    card = render_model_card(facts_of("biovid"))
    assert "Not known: the student was not evaluated: run `mtpkd evaluate`." in card
    assert "model-index" not in header(card)
    assert "trained before calibration was recorded" in card
    assert "by skin tone is not known" in card
    assert "By sex and age: not known" in render_model_card(facts_of("biovid", replace(numbers, strata=[])))
    alone = replace(facts_of("biovid"), training=replace(TRAINING, place=None, clips=None))
    assert "not known: the student lay outside its workspace" in render_model_card(alone)


def test_calibration_of_classes(numbers):
    told = {"groups": ["a", "b"], "temperature": 1.75, "ece": None, "smoothing_s": None, "intervals": None}
    card = render_model_card(facts_of("biovid", numbers, told))
    assert "Temperature 1.750" in card
    assert "test groups, all models together: 0.041 (0.112 without their temperatures)" in card
    assert "not trained on: 2." in card
    assert "run `mtpkd evaluate`" in render_model_card(facts_of("biovid", "unknown.", told))


def test_calibration_of_continuous_labels(numbers):
    told = {"groups": ["a", "b"], "temperature": None, "ece": None, "smoothing_s": 0.5, "intervals": {}}
    measured = {"level": 0.9, "coverage": 0.883, "coverage_interval": [0.81, 0.94], "half_width": [0.31, 0.42]}
    card = render_model_card(facts_of("affwild2", replace(numbers, calibration=measured), told))
    assert "90 % intervals hold 88 % [81, 94] of what test groups had" in card
    assert "mean of their half-widths: valence ±0.310, arousal ±0.420" in card
    nothing = {**measured, "level": None}
    assert "none for which there are validation groups enough" in render_model_card(
        facts_of("affwild2", replace(numbers, calibration=nothing), told)
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("biovid", ["BioVid Heat Pain Database", "non-commercial research", "The label is the heat"]),
        ("affwild2", ["Aff-Wild2", "Expression is not feeling", "one of every"]),
        ("demo", ["never seen a human face"]),
    ],
)
def test_what_a_corpus_bears_is_said(name, words):
    card = render_model_card(facts_of(name))
    assert not [word for word in words if word not in card]
    assert "No diagnosis" in card
    assert "2024/1689" in card
    assert header(card)["license"] == "other"


def test_control_groups_are_told_what_taught_them():
    card = render_model_card(replace(facts_of("demo"), training=replace(TRAINING, teachers="prevalent")))
    assert "**What its teachers saw:** the face alone" in card


def test_headings_are_those_of_model_cards():
    card = render_model_card(facts_of("demo"))
    found = [line for line in card.split("<details>")[0].splitlines() if line.startswith("## ")]
    assert found == [
        "## Model Details",
        "## Uses",
        "## How to Get Started with the Model",
        "## Training Details",
        "## Evaluation",
        "## Calibration",
        "## Bias, Risks, and Limitations",
        "## Technical Specifications",
        "## How to Reproduce",
    ]
