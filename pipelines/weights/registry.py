"""The published weights that can be used, each with the digest by which it is known whoever hands it over.

Addresses are those of the publishers: torchvision's and the face-alignment package's own. The digests in full begin
with the digits that stand in the file names. A recipe names weights by `name`; a file of the user's own needs no entry.
"""

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlparse

from pipelines.errors import SettingsError


@dataclass(frozen=True)
class Weights:
    """One published file.

    Attributes:
        name: what recipes and commands call it.
        purpose: what uses it.
        address: where it is published.
        size: in bytes.
        sha256: of the file, 64 hexadecimal digits.
        licence: SPDX identifier of what its publisher says.
        terms: what else may bind whoever uses it.
    """

    name: str
    purpose: str
    address: str
    size: int
    sha256: str
    licence: str
    terms: str

    @property
    def file_name(self) -> str:
        """As published; torch hub and the face-alignment package look for it by this name."""
        return PurePosixPath(urlparse(self.address).path).name


_OF_DATA = "torchvision's licence; it says that terms of the data trained on, {}, may apply too"
_OF_FACES = "the author's licence for code and models; the pictures trained on have terms of their own"

_PUBLISHED = (
    Weights(
        name="r3d_18-kinetics400",
        purpose="r3d-18 on faces",
        address="https://download.pytorch.org/models/r3d_18-b3b3357e.pth",
        size=133_546_016,
        sha256="b3b3357ead25631ec9c57362ff2128a92d0427e01e2cd184951a44380c3f2e9d",
        licence="BSD-3-Clause",
        terms=_OF_DATA.format("Kinetics-400"),
    ),
    Weights(
        name="resnet_18-imagenet",
        purpose="resnet-18 on spectrograms",
        address="https://download.pytorch.org/models/resnet18-f37072fd.pth",
        size=46_830_571,
        sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        licence="BSD-3-Clause",
        terms=_OF_DATA.format("ImageNet"),
    ),
    Weights(
        name="s3fd",
        purpose="face-alignment: finds faces",
        address="https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth",
        size=89_843_225,
        sha256="619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        licence="BSD-3-Clause",
        terms=_OF_FACES,
    ),
    Weights(
        name="2dfan-4",
        purpose="face-alignment: landmarks",
        address="https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
        size=95_641_761,
        sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
        licence="BSD-3-Clause",
        terms=_OF_FACES,
    ),
)

REGISTRY: dict[str, Weights] = {weights.name: weights for weights in _PUBLISHED}
"""Name -> what is known of it."""


def get_weights(name: str) -> Weights:
    """The entry of a name. Raises SettingsError where there is none."""
    if name not in REGISTRY:
        near = difflib.get_close_matches(name, REGISTRY, n=1)
        hint = f", did you mean {near[0]}?" if near else f"; known are {', '.join(REGISTRY)}"
        raise SettingsError(f"{name}: there are no published weights of that name{hint}")
    return REGISTRY[name]
