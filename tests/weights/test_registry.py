import re
from pathlib import Path

import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.weights import REGISTRY, cache_folder, get_weights


@pytest.mark.parametrize("weights", REGISTRY.values(), ids=lambda weights: weights.name)
def test_a_digest_begins_as_the_published_file_name_says(weights):
    (beginning,) = re.findall(r"-([0-9a-f]{8,10})\.", weights.file_name)
    assert weights.sha256.startswith(beginning)
    assert re.fullmatch("[0-9a-f]{64}", weights.sha256)
    assert weights.address.startswith("https://")


def test_the_face_detectors_are_those_of_the_package():
    import face_alignment.api
    from face_alignment.detection.sfd import sfd_detector

    assert REGISTRY["s3fd"].address == sfd_detector.models_urls["s3fd"]
    assert REGISTRY["2dfan-4"].address == face_alignment.api.models_urls["2DFAN-4"]


def test_the_folder_is_torch_hubs(monkeypatch, tmp_path):
    for variables in ({"TORCH_HOME": str(tmp_path)}, {"XDG_CACHE_HOME": str(tmp_path)}, {}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert cache_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_an_unknown_name_is_answered_with_the_one_meant():
    with pytest.raises(SettingsError, match="did you mean s3fd"):
        get_weights("s3df")
    with pytest.raises(SettingsError, match="known are r3d_18-kinetics400, "):
        get_weights("zzz")
