"""DeepLabV3+: a dilated residual network, a pyramid of dilated convolutions, and fine maps of the first stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.models import residual_stages
from ticketlab.models.build import Blueprint
from ticketlab.models.dropout import KeyedDropout
from ticketlab.models.imagenet_resnet import stem
from ticketlab.models.initialise import Draw, constant, kaiming_normal
from ticketlab.models.residual_stages import StagedTrunk

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.segmenters import Deeplab


def blueprint(options: Deeplab, shape: ImageShape) -> Blueprint:
    """`segmenter`; `shape.classes` are those of a pixel.

    Starts with Kaiming-normal convolutions, by fan out in the residual network and by fan in elsewhere, zero biases.
    """
    return Blueprint({"segmenter": DeeplabV3Plus(options, shape)}, scheme)


def scheme(layer: nn.Module) -> tuple[Draw, Draw]:
    """How each kind of layer starts: weight, bias."""
    if isinstance(layer, HeadConvolution):
        return kaiming_normal("in"), constant(0.0)
    return residual_stages.scheme(layer)


class HeadConvolution(nn.Conv2d):
    """A convolution outside the residual network, told apart because it starts in another way."""


class Backbone(StagedTrunk):
    """Images -> (first stage's maps, a quarter of the image; last stage's maps, an eighth)."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, 4 width, S/4, S/4) and (B, 32 width, S/8, S/8), rounded up."""
        fine = self.layer1(self.stem(images))
        return fine, self.layer4(self.layer3(self.layer2(fine)))


class DeeplabV3Plus(nn.Module):
    """Images (B, C, S, S) -> logits of every pixel (B, classes, S, S).

    Source: Chen et al. 2018, arXiv 1802.02611, section 3, with 3x3 convolutions that are not separable.
    """

    def __init__(self, options: Deeplab, shape: ImageShape) -> None:
        super().__init__()
        self.backbone = Backbone(*stem(shape.channels, options.width), options.depth, dilated=2)
        self.pyramid = Pyramid(self.backbone.wide, options.pyramid, options.rates, options.dropout)
        self.detail = convolved(4 * options.width, options.detail, 1)
        self.mix = convolved(options.pyramid + options.detail, options.pyramid, 3)
        self.classify = HeadConvolution(options.pyramid, shape.classes, 1)

    def features(self, images: Tensor) -> Tensor:
        """Images -> maps (B, pyramid, S/4, S/4), rounded up, that the last convolution gives classes."""
        fine, deep = self.backbone(images)
        coarse = resized(self.pyramid(deep), fine.shape[2:])
        maps: Tensor = self.mix(torch.cat([self.detail(fine), coarse], 1))
        return maps

    def head(self, features: Tensor) -> Tensor:
        """Maps (B, pyramid, H, W) -> logits (B, classes, H, W)."""
        logits: Tensor = self.classify(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, S, S) -> logits (B, classes, S, S)."""
        return resized(self.head(self.features(images)), images.shape[2:])


class Pyramid(nn.Module):
    """(B, entering, H, W) -> (B, leaving, H, W): one 1x1 and three dilated 3x3 convolutions, and the mean of all places.

    Source: Chen et al. 2017, arXiv 1706.05587, section 3.3, atrous spatial pyramid pooling.
    """

    def __init__(self, entering: int, leaving: int, rates: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.point = convolved(entering, leaving, 1)
        self.dilated = nn.ModuleList(convolved(entering, leaving, 3, rate) for rate in rates)
        self.whole = convolved(entering, leaving, 1)
        self.project = convolved((2 + len(rates)) * leaving, leaving, 1)
        self.dropout = KeyedDropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """The pyramid's maps, of the height and width they came with."""
        whole = self.whole(maps.mean((2, 3), keepdim=True)).expand(-1, -1, *maps.shape[2:])
        branches = [self.point(maps), *(branch(maps) for branch in self.dilated), whole]
        out: Tensor = self.dropout(self.project(torch.cat(branches, 1)))
        return out


def convolved(entering: int, leaving: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """A convolution without bias that keeps height and width, batch normalisation, ReLU."""
    padding = dilation * (kernel // 2)
    convolution = HeadConvolution(entering, leaving, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(leaving), nn.ReLU())


def resized(maps: Tensor, size: torch.Size) -> Tensor:
    """Maps of another height and width, interpolated bilinearly, corners not aligned."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
