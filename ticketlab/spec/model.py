"""The `model` section: which networks are built."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.classifiers import ImagenetResnet, TinyResnet, TinyVgg, Vgg
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.modelling import ClassifierChoice, ModelChoice, Width
from ticketlab.spec.section import family
from ticketlab.spec.segmenters import Deeplab
from ticketlab.spec.task import GAN, Task

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

__all__ = [
    "Convnet",
    "ImagenetResnet",
    "Lenet",
    "Mlp",
    "Model",
    "ModelChoice",
    "PlainConv",
    "Resnet",
    "Sngan",
    "TinyResnet",
    "TinyVgg",
    "Vgg",
    "Width",
]


class Sngan(ModelChoice):
    """Spectrally normalised residual GAN, unconditional, 32, 48 or 64 pixels."""

    made_by: ClassVar[str] = "ticketlab.models.sngan:blueprint"
    about: ClassVar[str] = "residual generator and spectrally normalised residual critic"
    source: ClassVar[str] = "Miyato et al. 2018, arXiv 1802.05957; widths of GAN lottery tickets, arXiv 2106.00134"
    trains: ClassVar[Task] = GAN
    networks: ClassVar[tuple[str, ...]] = ("generator", "critic")
    prunable_layers: ClassVar[tuple[str, ...]] = ("conv",)
    sizes: ClassVar[tuple[int, ...] | None] = (32, 48, 64)
    parts: ClassVar[frozenset[str]] = frozenset(
        {"generator.project", "generator.grow", "critic.features", "critic.head"}
    )

    kind: Literal["sngan"] = Field(default="sngan", description="Spectrally normalised residual GAN.")
    width: Width = Field(default=256, description="Channels of every generator block.")
    critic_width: Width = Field(default=128, description="Channels of every critic block.")
    latent: Width = Field(default=128, description="Dimensions of the Gaussian noise the generator maps to images.")


class Mlp(ClassifierChoice):
    """Fully connected ReLU network on flattened pixels; (300, 100) is LeNet-300-100."""

    made_by: ClassVar[str] = "ticketlab.models.mlp:blueprint"
    about: ClassVar[str] = "fully connected ReLU network; hidden [300, 100] is LeNet-300-100"
    source: ClassVar[str] = "LeCun et al. 1998; Frankle and Carbin 2019, arXiv 1803.03635"
    layer_kinds: ClassVar[tuple[str, ...]] = ("linear",)

    kind: Literal["mlp"] = Field(default="mlp", description="Fully connected network.")
    hidden: tuple[Width, ...] = Field(
        default=(300, 100), min_length=1, max_length=64, description="Units of each hidden layer."
    )
    bias: bool = Field(default=True, description="Whether linear layers have a bias.")


class Lenet(ClassifierChoice):
    """Two 3x3 convolutions, one 2x2 max-pool, two hidden linear layers."""

    made_by: ClassVar[str] = "ticketlab.models.lenet:blueprint"
    about: ClassVar[str] = "two convolutions, a max-pool and two hidden linear layers"
    source: ClassVar[str] = "the convolutional network of the LotteryTicket recipes (Frankle and Carbin's Conv-2)"

    kind: Literal["lenet"] = Field(default="lenet", description="Small convolutional network.")
    channels: tuple[Width, Width] = Field(default=(64, 64), description="Channels of the two convolutions.")
    hidden: tuple[Width, ...] = Field(
        default=(256, 256), min_length=1, max_length=16, description="Units of each hidden linear layer."
    )


class PlainConv(ClassifierChoice):
    """3x3 convolutions with ReLU and one linear layer on all their places; no pooling, no normalisation."""

    made_by: ClassVar[str] = "ticketlab.models.plain_conv:blueprint"
    about: ClassVar[str] = "3x3 convolutions without pooling and one linear layer: SynFlow's small `conv`"
    source: ClassVar[str] = (
        "the code released with Tanaka et al. 2020, arXiv 2006.05467 (its `fc` is `mlp`, hidden five times 100)"
    )

    kind: Literal["plain_conv"] = Field(default="plain_conv", description="Convolutions without pooling.")
    channels: tuple[Width, ...] = Field(
        default=(32, 32), min_length=1, max_length=64, description="Channels of each convolution."
    )


class Resnet(ClassifierChoice):
    """CIFAR residual network of depth 6n+2: three stages of n basic blocks, projection shortcuts (option B)."""

    made_by: ClassVar[str] = "ticketlab.models.resnet:blueprint"
    about: ClassVar[str] = "CIFAR residual network of depth 6n+2 and any width"
    source: ClassVar[str] = "He et al. 2016, arXiv 1512.03385; prunable set of Tanaka et al. 2020, arXiv 2006.05467"

    kind: Literal["resnet"] = Field(default="resnet", description="CIFAR residual network.")
    depth: int = Field(default=20, ge=8, le=1202, description="Layers, 6n+2: 20, 32, 44, 56, 110.", multiple_of=1)
    width: Width = Field(
        default=16, description="Channels of the first stage; later stages have 2 and 4 times as many."
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a depth that is not 6n+2."""
        if (self.depth - 2) % 6:
            raise Impossible(
                (*at, "depth"), f"a CIFAR ResNet has depth 6n+2, not {self.depth}", mend="20, 32, 44, 56, 110"
            )
        return super().settled(spec, at)


class Convnet(ClassifierChoice):
    """Three strided 3x3 convolutions with batch normalisation, global average pooling, a linear head."""

    made_by: ClassVar[str] = "ticketlab.models.convnet:blueprint"
    about: ClassVar[str] = "three strided convolutions and a linear head; the lab's own feature extractor"

    kind: Literal["convnet"] = Field(default="convnet", description="Small strided convolutional network.")
    width: Width = Field(
        default=32, description="Channels of the first convolution; the next have 2 and 4 times as many."
    )


if TYPE_CHECKING:
    Model = ModelChoice
else:
    Model = family(
        "models",
        "kind",
        Sngan,
        Mlp,
        Lenet,
        PlainConv,
        Convnet,
        Resnet,
        Vgg,
        TinyResnet,
        TinyVgg,
        ImagenetResnet,
        Deeplab,
    )
