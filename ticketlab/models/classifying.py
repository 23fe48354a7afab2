"""What classifiers have in common: features of images, and a linear layer from features to logits."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Classifier(nn.Module, ABC):
    """Images (B, C, S, S) -> logits (B, classes); subclasses give `features` and the linear layer `fc`."""

    fc: nn.Linear

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Images (B, C, S, S) -> features (B, `fc.in_features`)."""

    def head(self, features: Tensor) -> Tensor:
        """Features (B, `fc.in_features`) -> logits (B, classes)."""
        logits: Tensor = self.fc(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, S, S) -> logits (B, classes)."""
        return self.head(self.features(images))
