"""The classifiers of the pruning papers beside the small ones: VGG and residual networks, by the size of their images."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ticketlab.spec.modelling import ClassifierChoice, Width

FirstWidth = Annotated[
    int, Field(ge=1, le=4096, description="Channels of the first stage; later stages have 2, 4 and 8 times as many.")
]


class Vgg(ClassifierChoice):
    """CIFAR VGG with batch normalisation, in the lottery papers' form: one linear layer after the convolutions."""

    made_by: ClassVar[str] = "ticketlab.models.vgg:blueprint"
    about: ClassVar[str] = "CIFAR VGG-11, 13, 16, 19 with batch normalisation and one linear layer, any width"
    source: ClassVar[str] = "Simonyan and Zisserman 2015, arXiv 1409.1556; form of Tanaka et al. 2020, arXiv 2006.05467"
    sizes: ClassVar[tuple[int, ...] | None] = (32,)

    kind: Literal["vgg"] = Field(default="vgg", description="CIFAR VGG with batch normalisation.")
    depth: Literal[11, 13, 16, 19] = Field(
        default=16, description="Layers as the paper counts them, with the three linear layers of its own head."
    )
    width: FirstWidth = 64


class TinyVgg(ClassifierChoice):
    """Tiny-ImageNet VGG with batch normalisation: five max-pools, two hidden linear layers with dropout."""

    made_by: ClassVar[str] = "ticketlab.models.tiny_vgg:blueprint"
    about: ClassVar[str] = "Tiny-ImageNet VGG-11, 13, 16, 19 with batch normalisation and three linear layers"
    source: ClassVar[str] = "Simonyan and Zisserman 2015, arXiv 1409.1556; form of Tanaka et al. 2020, arXiv 2006.05467"
    sizes: ClassVar[tuple[int, ...] | None] = (32, 64, 96, 128, 160, 192, 224)

    kind: Literal["tiny_vgg"] = Field(default="tiny_vgg", description="Tiny-ImageNet VGG with batch normalisation.")
    depth: Literal[11, 13, 16, 19] = Field(default=16, description="Convolutional and linear layers.")
    width: FirstWidth = 64
    hidden: Width = Field(default=1024, description="Units of each of the two hidden linear layers.")
    dropout: float = Field(
        default=0.5, ge=0, lt=1, description="Share of the hidden units that training drops at every step, in [0, 1)."
    )


class TinyResnet(ClassifierChoice):
    """Residual network of four stages for small images: a 3x3 stem, no max-pool; Tiny-ImageNet's and CIFAR's."""

    made_by: ClassVar[str] = "ticketlab.models.tiny_resnet:blueprint"
    about: ClassVar[str] = "ResNet-18, 34, 50 for small images: 3x3 stem, no max-pool"
    source: ClassVar[str] = "He et al. 2016, arXiv 1512.03385; form of Tanaka et al. 2020, arXiv 2006.05467"

    kind: Literal["tiny_resnet"] = Field(
        default="tiny_resnet", description="Residual network of four stages for small images."
    )
    depth: Literal[18, 34, 50] = Field(default=18, description="Layers; 50 has bottleneck blocks.")
    width: FirstWidth = 64


class ImagenetResnet(ClassifierChoice):
    """Residual network for ImageNet, version 1.5, with the layout and parameter names of torchvision."""

    made_by: ClassVar[str] = "ticketlab.models.imagenet_resnet:blueprint"
    about: ClassVar[str] = "ImageNet ResNet-18, 34, 50, 101, 152 with torchvision's layout and parameter names"
    source: ClassVar[str] = "He et al. 2016, arXiv 1512.03385; stride on the 3x3 convolution as in torchvision"

    kind: Literal["imagenet_resnet"] = Field(default="imagenet_resnet", description="Residual network for ImageNet.")
    depth: Literal[18, 34, 50, 101, 152] = Field(
        default=50, description="Layers; 50 and deeper have bottleneck blocks."
    )
    width: FirstWidth = 64
