"""Networks that give every pixel a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.modelling import ModelChoice, Width
from ticketlab.spec.task import SEGMENTER, Task

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

Dilation = Annotated[int, Field(ge=1, le=1024)]


class Deeplab(ModelChoice):
    """DeepLabV3+ on an ImageNet residual network of bottlenecks, its features eight times smaller than the image."""

    made_by: ClassVar[str] = "ticketlab.models.deeplab:blueprint"
    about: ClassVar[str] = "DeepLabV3+ on ResNet-50 at output stride 8"
    source: ClassVar[str] = "Chen et al. 2018, arXiv 1802.02611; He et al. 2016, arXiv 1512.03385"
    trains: ClassVar[Task] = SEGMENTER
    networks: ClassVar[tuple[str, ...]] = ("segmenter",)
    layer_kinds: ClassVar[tuple[str, ...]] = ("conv",)
    backbone: ClassVar[str | None] = "segmenter.backbone"

    kind: Literal["deeplab"] = Field(default="deeplab", description="DeepLabV3+ segmentation network.")
    depth: Literal[50, 101] = Field(default=50, description="Layers of the residual network.")
    width: Width = Field(
        default=64, description="Channels of the residual network's first stage; later have 2, 4 and 8 times as many."
    )
    pyramid: Width = Field(default=256, description="Channels of every branch of the pyramid and of the head.")
    detail: Width = Field(default=48, description="Channels that the first stage's fine maps are projected to.")
    rates: tuple[Dilation, Dilation, Dilation] = Field(
        default=(12, 24, 36), description="Dilations of the pyramid's three 3x3 convolutions, in feature pixels."
    )
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of the pyramid's values that training drops at every step, in [0, 1).",
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses batches of one image: the pyramid normalises one value per image, and over a batch of one it is nothing."""
        if spec.train.batch < 2:
            what = f"`{self.name}` normalises over the images of a batch and cannot learn from one at a time"
            raise Impossible(("train", "batch"), what, mend="batch: 2 or more")
        return super().settled(spec, at)
