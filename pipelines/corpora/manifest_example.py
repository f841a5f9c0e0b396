"""An example of a manifest with its recipe: complete, and usable once the user's own files stand in for its own.

The example has one of everything that has to be decided: a video that is there at test time, a signal and a table of
features that are not, a clip without one of them, and a clip without a label.
"""

from pathlib import Path

from pipelines.errors import SettingsError
from pipelines.recipe import (
    ClipWindow,
    EncoderSettings,
    FeatureTable,
    ManifestCorpus,
    Recipe,
    SignalFiles,
    VideoFiles,
)
from pipelines.recipe.loading import render_recipe
from pipelines.workspace import write_text

RECIPE = "recipe.yaml"
"""Name of the recipe in the folder of a manifest."""

_INTRODUCTION = """\
# Your own data. What is usually changed: `corpus` says what the columns of the manifest are, `prevalent` and
# `privileged` who sees which modality, `encoders` has one network a modality, and `windows` is the part of a video that
# is looked at. Paths in the manifest start from `corpus.root`, and that from the folder in which a command is run.

"""

_MANIFEST = """\
clip,group,label,sex,age,video,eda
s01_rest,s01,rest,w,24,videos/s01_rest.mp4,eda/s01_rest.csv
s01_stress,s01,stress,w,24,videos/s01_stress.mp4,
s02_rest,s02,rest,m,31,videos/s02_rest.mp4,eda/s02_rest.csv
s02_task,s02,,m,31,videos/s02_task.mp4,eda/s02_task.csv
"""

_HEART = """\
clip,mean_hr,rmssd
s01_rest,71.5,42.0
s01_stress,93.0,18.5
s02_rest,64.0,
s02_task,80.5,25.0
"""


def example_recipe(folder: Path) -> Recipe:
    """The recipe of the example, with its manifest in `folder`."""
    corpus = ManifestCorpus(
        root=folder,
        classes=("rest", "stress"),
        attributes=("sex", "age"),
        modalities={
            "faces": VideoFiles(column="video"),
            "eda": SignalFiles(column="eda", channel="eda", rate=128, seconds=10, band=(None, 4), resampled=32),
            "heart": FeatureTable(table=Path("heart.csv")),
        },
    )
    architectures = {"faces": "small-video", "eda": "wave-cnn", "heart": "features-mlp"}
    return Recipe(
        corpus=corpus,
        prevalent=("faces",),
        privileged=("eda", "heart"),
        windows=ClipWindow(start=0, stop=10),
        encoders={name: EncoderSettings.model_validate({"architecture": a}) for name, a in architectures.items()},
    )


def write_example(folder: Path) -> tuple[Path, ...]:
    """Write a recipe, a manifest and a table of features into a folder that has none of them; returns their paths.

    Raises:
        SettingsError: one of them exists; nothing is written then.
    """
    contents = {
        folder / RECIPE: _INTRODUCTION + render_recipe(example_recipe(folder)),
        folder / "manifest.csv": _MANIFEST,
        folder / "heart.csv": _HEART,
    }
    for path in contents:
        if path.exists():
            raise SettingsError(f"{path} exists already and is not overwritten: name another folder, or move it away")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is not a folder: name another one")
    for path, text in contents.items():
        write_text(path, text)
    return tuple(contents)
