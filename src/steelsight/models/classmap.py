"""The head that gives the class map for free: a 1x1 convolution and a global average."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ClassMapNetwork"]


class ClassMapNetwork(nn.Module):
    """What timm asks of a network, for those that end in this head.

    A subclass makes its layers, calls `make_head`, and gives `forward_features`: (batch, in_chans, height, width) ->
    (batch, num_features, h, w).
    """

    num_classes: int
    num_features: int
    head_hidden_size: int

    def make_head(self, num_features: int, num_classes: int, drop_rate: float, global_pool: str) -> None:
        """Raises ValueError for a pooling other than `avg`, or none (an empty string) for the class map."""
        if global_pool not in ("avg", ""):
            raise ValueError(f"global_pool is {global_pool!r}; it can be 'avg', or '' for the class map.")
        self.num_features = self.head_hidden_size = num_features
        self.drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes, global_pool)
        self.average = nn.AdaptiveAvgPool2d(1)

    def forward_features(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward_map(self, x: Tensor) -> Tensor:
        """Features (batch, num_features, h, w) -> class map (batch, num_classes, h, w), whose mean is the logits."""
        return self.classifier(self.drop(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Features -> logits (batch, num_classes), or the averaged features with `pre_logits`."""
        class_map = x if pre_logits else self.forward_map(x)
        return self.average(class_map).flatten(1) if self.global_pool or pre_logits else class_map

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str = "avg") -> None:
        self.num_classes, self.global_pool = num_classes, global_pool
        self.classifier: nn.Module = nn.Conv2d(self.num_features, num_classes, 1) if num_classes else nn.Identity()
