import itertools

import pytest
import yaml

from pipelines.errors import SettingsError
from pipelines.recipe.loading import (
    SHIPPED,
    load_recipe,
    override_recipe,
    parse_recipe,
    plain,
    render_recipe,
    shipped_recipes,
)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_hold_every_setting_with_its_comment(name):
    assert (SHIPPED / f"{name}.yaml").read_text() == render_recipe(load_recipe(name))


def test_rendering_and_reading_is_the_identity():
    recipe = override_recipe(load_recipe("demo"), **{"teachers.subsets": [["faces"], ["faces", "eda"]]})
    assert parse_recipe(yaml.safe_load(render_recipe(recipe)), source="here") == recipe


def test_every_line_of_a_setting_follows_a_comment():
    lines = render_recipe(load_recipe("demo")).splitlines()
    for above, line in itertools.pairwise(lines):
        is_setting = ":" in line and not line.lstrip().startswith("#")
        is_modality = line.strip() in ("faces:", "eda:", "ecg:", "emg:") and line.startswith("  ")
        assert not is_setting or is_modality or above.lstrip().startswith("# "), line


def test_overrides_are_yaml_values():
    recipe = load_recipe("demo", ("protocol.folds=3", "protocol.seeds=[1, 2]", "faces.storage=raw"))
    assert (recipe.protocol.folds, recipe.protocol.seeds, recipe.faces.storage) == (3, (1, 2), "raw")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("faces.sise=3", "faces.sise: there is no such setting; did you mean size?"),
        ("faces.size=3", "faces.size = 3: Input should be greater than or equal to 32"),
        ("corpus.part=C", "corpus.part = 'C'"),
        ("corpus.name=nowhere", "nowhere"),
        ("windows.start=9", "windows.stop = 5.5 must be greater than windows.start = 9.0"),
        ("biosignals.ecg_band=[9, 3]", "biosignals.ecg_band = (9.0, 3.0): the high-pass must lie below the low-pass"),
        ("biosignals.eda_band=[null, 0]", "biosignals.eda_band = (None, 0.0): cut-offs are positive"),
        ("corpus.width=321", "corpus.width = 321"),
        ("corpus.seed=-1", "corpus.seed = -1"),
        ("model.width=10", "model.width = 10 must be a multiple of model.heads = 4"),
        ("teachers.cross_fit=1", "teachers.cross_fit = 1 leaves no subject"),
        ("encoders.eda.architecture=r3d-18", "does not fit eda"),
        ("privileged=[eda, faces]", "none may be in both"),
        ("privileged=[]", "each needs at least one"),
        ("prevalent=[voice]", "'voice' is unknown"),
        ("teachers.subsets=[[faces, faces]]", "teachers.subsets holds ['faces', 'faces']"),
        ("privileged=[eda]", "encoders = ['ecg', 'eda', 'emg', 'faces']"),
        ("faces", "write it as key.sub=value"),
        ("faces.size.deep=1", "faces.size is a single value"),
        ("faces.size=[", "is not YAML"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(override, message):
    with pytest.raises(SettingsError) as caught:
        load_recipe("demo", (override,))
    assert message in str(caught.value)


def test_all_mistakes_are_told_at_once():
    values = plain(load_recipe("demo"))
    values["faces"]["size"], values["faces"]["margin"] = 3, 7
    with pytest.raises(SettingsError, match=r"2 setting\(s\)"):
        parse_recipe(values, source="mine.yaml")


@pytest.mark.parametrize("content", ["- a\n- b\n", "faces: [", "", "\x00"])
def test_a_file_that_is_no_recipe_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"mine\.yaml"):
        load_recipe(path)


def test_an_unknown_recipe_lists_the_shipped_ones():
    with pytest.raises(SettingsError, match="biovid, demo"):
        load_recipe("biovit")


def test_the_joint_teacher_is_always_there_and_last():
    recipe = load_recipe("demo", ("teachers.subsets=[[faces], [faces, eda]]",))
    assert list(recipe.teacher_subsets) == ["faces", "faces+eda", "joint"]
    assert list(load_recipe("demo").teacher_subsets) == ["faces", "eda", "ecg", "emg", "joint"]


def manifest_values():
    """Plain values of a recipe for a manifest."""
    signal = {"kind": "signal", "column": "eda", "rate": 128, "seconds": 5}
    modalities = {
        "faces": {"kind": "video", "column": "video"},
        "no": signal,
        "heart": {"kind": "features", "table": "t.csv"},
    }
    architectures = {"faces": "small-video", "no": "wave-cnn", "heart": "features-mlp"}
    return {
        "corpus": {"name": "manifest", "classes": [0, "yes"], "modalities": modalities},
        "prevalent": ["faces"],
        "privileged": ["no", "heart"],
        "encoders": {name: {"architecture": architecture} for name, architecture in architectures.items()},
    }


def test_a_manifests_modalities_are_rendered_and_read():
    recipe = parse_recipe(manifest_values(), source="mine.yaml")
    assert recipe.corpus.classes == ("0", "yes")
    text = render_recipe(recipe)
    assert parse_recipe(yaml.safe_load(text), source="here") == recipe
    names = ("faces:", "'no':", "heart:")
    for above, line in itertools.pairwise(text.splitlines()):
        is_setting = ":" in line and not line.lstrip().startswith("#")
        assert not is_setting or line.strip() in names or above.lstrip().startswith("# "), line
    assert "biosignals:" not in text


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("corpus.modalities.no.rate", -1, "corpus.modalities.no.rate = -1: Input should be greater than 0"),
        ("corpus.modalities.no.max_missing", "x", "corpus.modalities.no.max_missing = 'x': "),
        (
            "corpus.modalities.no.kind",
            "wav",
            "corpus.modalities.no.kind = 'wav': use one of video, sound, signal, feat",
        ),
        (
            "corpus.modalities.no",
            {},
            "corpus.modalities.no.kind: this setting is required, one of video, sound, signal",
        ),
        ("corpus.modalities.no", {"kind": "video"}, "corpus.modalities.no.column: this setting is required"),
        ("corpus.modalities.no.colunm", "x", "corpus.modalities.no.colunm: there is no such setting; did you mean col"),
        ("corpus.modalities.no.table", "x", "there is no such setting with corpus.modalities.no.kind = signal"),
        ("corpus.modalities.no.band", [9, 3], "corpus.modalities.no: band = (9.0, 3.0): the high-pass must lie below"),
        ("corpus.modalities.heart.column", "x", "corpus.modalities.heart: features lie in a `table`, or in files"),
        ("corpus.modalities.heart.table", "manifest.csv", "corpus.modalities.heart: the manifest has other columns"),
        ("corpus.modalities.my voice", {"kind": "sound", "column": "v"}, "'my voice' cannot be a name"),
        ("corpus.modalities.voice\n", {"kind": "sound", "column": "v"}, "'voice\\n' cannot be a name: use letters"),
        ("corpus.modalities.clips", {"kind": "sound", "column": "v"}, "'clips' is a name that the cache uses itself"),
        ("corpus.modalities.joint", {"kind": "sound", "column": "v"}, "'joint' is a name that the cache uses itself"),
        ("corpus.part", "A", "corpus.part: there is no such setting with corpus.name = manifest"),
        ("corpus.klasses", "A", "corpus.klasses: there is no such setting; did you mean classes?"),
        ("corpus.name", "manifold", "corpus.name = 'manifold': use one of biovid, synthetic, affwild2"),
        ("corpus.classes", [True, False], "YAML reads no, off or false without quotes as a truth value"),
        ("corpus.attributes", ["class"], "corpus.attributes: 'class' is a name that the cache uses itself"),
        ("corpus.attributes", ["coverage_x"], "corpus.attributes: 'coverage_x' is a name that the cache uses itself"),
        ("corpus.split", "label_x", "corpus.split: 'label_x' is a name that the cache uses itself"),
        ("corpus.split", "group", "corpus: column 'group' of the manifest is used twice"),
        ("encoders.no.weihgts", "x", "encoders.no.weihgts: there is no such setting; did you mean weights?"),
    ],
)
def test_mistakes_in_a_manifests_settings_are_named_as_they_are_written(key, value, message):
    values = manifest_values()
    *path, last = key.split(".")
    section = values
    for name in path:
        section = section[name]
    section[last] = value
    with pytest.raises(SettingsError) as caught:
        parse_recipe(values, source="mine.yaml")
    assert message in str(caught.value)


def test_the_kind_of_a_section_is_required():
    values = manifest_values()
    del values["corpus"]["name"]
    with pytest.raises(SettingsError, match=r"corpus\.name: this setting is required, one of biovid, "):
        parse_recipe(values, source="mine.yaml")
    with pytest.raises(SettingsError, match="settings: there is no such setting"):
        parse_recipe({**manifest_values(), "settings": 1}, source="mine.yaml")
