"""A second look at pictures whose class is in doubt: mirrored, as the same steel might as well have lain.

A network that learned from mirrored pictures still answers each of them a little differently, and what they say in the
mean is right more often. Few pictures are in doubt, and the others cost nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steelsight.runtime.engines import Batch, Engine, Output

MIRRORED = (np.s_[..., ::-1], np.s_[..., ::-1, :], np.s_[..., ::-1, ::-1])
"""Left to right, upside down, and both."""


class SecondLook:
    """An engine that asks another again where the two likeliest classes are less than so many logits apart.

    The logits of such a picture are the mean of its own and of those of its three mirror images; whatever else the
    engine gave stays as it was. close: that distance.
    """

    def __init__(self, engine: Engine, close: float) -> None:
        self._engine, self._close = engine, close
        self.together = engine.together

    def run(self, batch: Batch) -> Output:
        output = self._engine.run(batch)
        doubtful = [number for number, logits in enumerate(output.logits.tolist()) if lead(logits) < self._close]
        if not doubtful:
            return output
        pictures = batch[doubtful]
        told = [self._engine.run(np.ascontiguousarray(pictures[mirror])).logits for mirror in MIRRORED]
        logits = output.logits.copy()
        logits[doubtful] = np.mean([logits[doubtful], *told], axis=0)
        return output._replace(logits=logits)


def lead(logits: Sequence[float]) -> float:
    """How many logits the likeliest class is before the next."""
    *_, second, first = sorted(logits)
    return first - second
