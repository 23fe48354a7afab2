"""Unconditional residual GAN with a spectrally normalised critic, for 32, 48 and 64 pixels.

At 32 pixels the generator grows a 4x4 grid by three blocks, and the critic shrinks images in the first two of its four:
the CIFAR network of Miyato et al. 2018 (arXiv 1802.05957, table 4) with the names used in the GAN ticket literature
(arXiv 2106.00134, 2103.00397). At 48 pixels the grid starts at 6x6, as in their STL-10 network, and all else is the
same. At 64 pixels both have one block more: the generator grows four times, the critic shrinks in the first three of
its five, and the last layers are called b6, c6 and l6. All blocks of a network are equally wide at every size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import SpecError
from ticketlab.models.build import Blueprint
from ticketlab.models.entering import noise
from ticketlab.models.initialise import Draw, constant, framework_default, normal, xavier_uniform
from ticketlab.models.released_names import ReleasedNames
from ticketlab.models.spectral import SpectralConv2d, SpectralLinear

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.randomness import Key
    from ticketlab.spec.model import Sngan

GROWTHS = {32: 3, 48: 3, 64: 4}
"""How often the generator doubles its grid, by image size; the critic halves its own once less."""


def blueprint(options: Sngan, shape: ImageShape) -> Blueprint:
    """`generator` and `critic`; start with Xavier-uniform convolutions and batch-norm scales N(1, 0.02^2).

    Linear layers and the biases of convolutions start as torch's own. Raises `SpecError` for other image sizes.
    """
    if shape.size not in GROWTHS:
        raise SpecError(
            f"sngan works at 32, 48 or 64 pixels, not {shape.size}", where="data.size", mend="data.size: 32"
        )
    generator = Generator(options.width, options.latent, shape.channels, shape.size)
    critic = Critic(options.critic_width, shape.channels, shape.size)
    return Blueprint({"generator": generator, "critic": critic}, scheme)


def scheme(layer: nn.Module) -> tuple[Draw, Draw]:
    """How each kind of layer starts: weight, bias."""
    if isinstance(layer, nn.BatchNorm2d):
        return normal(1.0, 0.02), constant(0.0)
    weight, bias = framework_default(layer)
    return (xavier_uniform() if isinstance(layer, nn.Conv2d) else weight), bias


class Generator(nn.Module):
    """Noise (B, latent) -> images (B, channels, size, size) in [-1, 1]."""

    # The lab's own: by kind of layer.
    released = ReleasedNames(bn=True, fc=False)

    def __init__(self, width: int, latent: int, channels: int, size: int) -> None:
        super().__init__()
        self.latent = latent
        self.grid = size >> GROWTHS[size]
        last = 2 + GROWTHS[size]
        self.l1 = nn.Linear(latent, width * self.grid**2)
        for number in range(2, last):
            self.add_module(f"block{number}", Growing(width))
        self.add_module(f"b{last}", nn.BatchNorm2d(width))
        self.relu = nn.ReLU()
        self.add_module(f"c{last}", nn.Conv2d(width, channels, 3, padding=1))

    def entering(self, count: int, key: Key) -> tuple[Tensor, ...]:
        """The noise (count, latent) that images are made of."""
        return (noise(count, self.latent, key),)

    def project(self, latents: Tensor) -> Tensor:
        """Noise (B, latent) -> the grid of features (B, width, grid, grid) that the blocks grow into an image."""
        features: Tensor = self.l1(latents)
        return features.view(len(latents), -1, self.grid, self.grid)

    def grow(self, features: Tensor, *_: Tensor) -> Tensor:
        """What `project` returns -> images, whatever it was given."""
        for layer in list(self.children())[1:]:
            features = layer(features)
        return features.tanh()

    def forward(self, latents: Tensor) -> Tensor:
        """Noise (B, latent) -> images (B, channels, size, size) in [-1, 1]."""
        return self.grow(self.project(latents))


class Growing(nn.Module):
    """A pre-activation residual block that doubles height and width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(width, width, 3, padding=1)
        self.c2 = nn.Conv2d(width, width, 3, padding=1)
        self.b1 = nn.BatchNorm2d(width)
        self.b2 = nn.BatchNorm2d(width)
        self.c_sc = nn.Conv2d(width, width, 1)
        self.relu1 = nn.ReLU()
        self.relu2 = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, S, S) -> (B, width, 2S, 2S)."""
        residual = self.c1(_doubled(self.relu1(self.b1(features))))
        residual = self.c2(self.relu2(self.b2(residual)))
        # A 1x1 convolution commutes with nearest upsampling and costs a quarter before it.
        return _doubled(self.c_sc(features)).add_(residual)


class Critic(nn.Module):
    """Images (B, channels, size, size) -> scores (B, 1); every weight is spectrally normalised."""

    def __init__(self, width: int, channels: int, size: int) -> None:
        super().__init__()
        last, shrinking = 1 + GROWTHS[size], GROWTHS[size] - 1
        self.block1 = Shrinking(channels, width, activate_first=False)
        for number in range(2, last + 1):
            self.add_module(f"block{number}", Shrinking(width, width) if number <= shrinking else Staying(width))
        self.relu = nn.ReLU()
        self._last = f"l{last + 1}"
        self.add_module(self._last, SpectralLinear(width, 1, bias=False))

    def features(self, images: Tensor) -> Tensor:
        """Images -> (B, width): the last block's rectified features, summed over the grid."""
        features = images
        for layer in list(self.children())[:-1]:
            features = layer(features)
        return features.sum((2, 3))

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, width) -> scores (B, 1), whatever the labels."""
        scores: Tensor = self.get_submodule(self._last)(features)
        return scores

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, channels, size, size) -> scores (B, 1), whatever their labels."""
        return self.head(self.features(images))


class Shrinking(nn.Module):
    """A residual block that halves height and width; the critic's first one takes pixels and does not rectify them."""

    def __init__(self, channels: int, width: int, activate_first: bool = True) -> None:
        super().__init__()
        self.c1 = SpectralConv2d(channels, width, 3, padding=1)
        self.c2 = SpectralConv2d(width, width, 3, padding=1)
        self.c_sc = SpectralConv2d(channels, width, 1)
        self.relu1 = nn.ReLU() if activate_first else nn.Identity()
        self.relu2 = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, S, S) -> (B, width, S/2, S/2)."""
        residual = F.avg_pool2d(self.c2(self.relu2(self.c1(self.relu1(features)))), 2)
        # A 1x1 convolution commutes with average pooling and costs a quarter after it. It sees the raw features.
        shortcut: Tensor = self.c_sc(F.avg_pool2d(features, 2))
        return residual + shortcut


class Staying(nn.Module):
    """A residual block with an identity shortcut from the raw features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c1 = SpectralConv2d(width, width, 3, padding=1)
        self.c2 = SpectralConv2d(width, width, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.relu2 = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, S, S) -> the same shape."""
        residual: Tensor = self.c2(self.relu2(self.c1(self.relu1(features))))
        return residual + features


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="nearest")
