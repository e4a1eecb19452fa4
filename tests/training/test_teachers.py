"""Teachers that answer together."""

import torch
from torch import nn

from steelsight.training.teachers import Together


def test_teachers_together_answer_the_mean_of_what_each_does() -> None:
    torch.manual_seed(0)
    networks = [nn.Linear(5, 3) for _ in range(3)]
    grey = torch.randn(4, 5)
    told = Together(networks)(grey)
    torch.testing.assert_close(told, sum(network(grey) for network in networks) / 3)
    torch.testing.assert_close(Together(networks[:1])(grey), networks[0](grey), rtol=0, atol=0)
