"""Muon: momentum whose every matrix is made orthogonal, so that all directions are learned alike.

It takes far fewer steps than Adam for the inner layers of a small network.
"""

from collections.abc import Iterable

import torch

POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration that drives singular values towards one."""
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """For weights of two dimensions or more; a convolution is a matrix of its output channels."""

    def __init__(
        self, weights: Iterable[torch.nn.Parameter], lr: float = 0.02, momentum: float = 0.95
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Move every weight along its orthogonal momentum."""
        for group in self.param_groups:
            for weight in group["params"]:
                average = self.state[weight].setdefault("average", torch.zeros_like(weight.grad))
                average.lerp_(weight.grad, 1 - group["momentum"])
                moved = weight.grad.lerp(average, group["momentum"])
                update = orthogonal(moved.flatten(1)).view_as(moved)
                stretch = max(1, len(moved) / moved[0].numel()) ** 0.5
                weight.add_(update, alpha=-group["lr"] * stretch)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """The orthogonal matrix next to `matrix`, roughly."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    scale = wide.norm().clamp_min(1e-7)
    gram = wide @ wide.T / scale**2
    one = torch.eye(len(gram))
    turn = one
    for _ in range(ITERATIONS):  # on the small gram matrix: it tells all that the iteration needs
        first, second, third = POLYNOMIAL
        factor = first * one + second * gram + third * gram @ gram
        turn, gram = factor @ turn, factor @ gram @ factor
    guess = turn @ wide / scale
    return guess if matrix.shape[0] <= matrix.shape[1] else guess.T
