# SPDX-License-Identifier: Apache-2.0
"""Muon: the momentum of a matrix, made nearly orthogonal; Adam for what is no matrix. Start at update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core.op import convert
from nyala.core.patterns import is_found
from nyala.core.variable import Variable
from nyala.engines import engine
from nyala.engines.protocol import Tensor
from nyala.optimizers import adam
from nyala.optimizers.optimizer import Optimizer, Slots, common_arguments


def orthogonalize(x: Tensor, steps: int, a: float, b: float, c: float) -> Tensor:
    """The matrix with its singular values moved to about 1, by steps of X = a X + (b A + c A A) X with A = X X'.

    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks (Newton-Schulz iteration).
    """
    tall = x.shape[0] > x.shape[1]
    x = engine.transpose(x, (1, 0)) if tall else x
    x = x / (engine.sqrt(engine.sum(x * x, (0, 1), False)) + 1e-7)
    for _ in range(steps):
        square = engine.matmul(x, engine.transpose(x, (1, 0)))
        x = x * a + engine.matmul(square * b + engine.matmul(square, square) * c, x)
    return engine.transpose(x, (1, 0)) if tall else x


def adjusted(x: Tensor, rms_rate: float | None) -> Tensor:
    """x rms_rate sqrt(max(rows, columns)), so that its entries have the size of Adam's moves; x without rms_rate.

    Source: Liu et al. 2025, Muon is scalable for LLM training.
    """
    return x if rms_rate is None else x * (rms_rate * max(x.shape) ** 0.5)


def update(
    gradient: Tensor,
    value: Tensor,
    slots: Slots,
    learning_rate: Tensor,
    *,
    momentum: float,
    nesterov: bool,
    ns_steps: int,
    coefficients: tuple[float, float, float],
    rms_rate: float | None,
) -> tuple[Tensor, Slots]:
    """m' = u m + g, w' = w - lr adjusted(orthogonalize(m')), or of Nesterov orthogonalize(g + u m'), for a matrix."""
    m = slots["momentum"] * momentum + gradient
    move = orthogonalize(gradient + m * momentum if nesterov else m, ns_steps, *coefficients)
    return value - learning_rate * adjusted(move, rms_rate), {"momentum": m}


class Muon(Optimizer):
    """Orthogonalized momentum for matrices; Adam for vectors, kernels of more axes, embeddings and excluded layers.

    Args:
        adam_beta_1, adam_beta_2, epsilon, adam_weight_decay: of Adam; adam_lr_ratio: its learning rate over that of the matrices.
        weight_decay: of the matrices.
        exclude_layers: regular expressions found in the paths of variables that Adam takes.
        exclude_embeddings: whether Adam takes variables with "embedding" in their path.
        muon_a, muon_b, muon_c, ns_steps: of orthogonalize.
        momentum, nesterov, rms_rate: see update.
    """

    slot_order = (("momentum", "velocity"),)

    @property
    def reads_names(self) -> bool:
        """True: names of variables say what Adam takes."""
        return True

    @common_arguments
    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor,
            gradient_accumulation_steps, name, **common,
        )  # fmt: skip
        self.adam_beta_1, self.adam_beta_2, self.adam_weight_decay, self.epsilon = adam_beta_1, adam_beta_2, adam_weight_decay, epsilon
        self.exclude_layers = [exclude_layers] if isinstance(exclude_layers, str) else list(exclude_layers or [])
        self.exclude_embeddings, self.adam_lr_ratio = exclude_embeddings, adam_lr_ratio
        self.muon_a, self.muon_b, self.muon_c, self.ns_steps = muon_a, muon_b, muon_c, ns_steps
        self.momentum, self.nesterov, self.rms_rate = momentum, nesterov, rms_rate

    def _takes(self, variable: Variable) -> bool:
        """Whether the rule of matrices moves this variable."""
        embedding = self.exclude_embeddings and "embedding" in variable.path.lower()
        return variable.ndim == 2 and not embedding and not any(is_found(pattern, variable.path) for pattern in self.exclude_layers)

    def lr_adjust(self, x: Any) -> Tensor:
        """See `adjusted`."""
        return adjusted(convert(x), self.rms_rate)

    def transpose_last_axis(self, X: Any) -> Tensor:
        """X with its last two axes exchanged."""
        return ops.swapaxes(X, -1, -2)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Tensor:
        """See `orthogonalize`."""
        return orthogonalize(convert(x), steps, self.muon_a, self.muon_b, self.muon_c)

    def init_slots(self, value: Tensor) -> Slots:
        return adam.init(value)

    def _first_slots(self, variable: Variable) -> Slots:
        slots = super()._first_slots(variable)
        return {"momentum": slots["momentum"]} if self._takes(variable) else slots

    def _decay_weights(self, variables: list[Variable], learning_rate: Tensor, weight_decay: float | None) -> None:
        super()._decay_weights([v for v in variables if self._takes(v)], learning_rate, weight_decay)
        super()._decay_weights([v for v in variables if not self._takes(v)], learning_rate, self.adam_weight_decay)

    def step_scalars(self, step: Tensor, learning_rate: Tensor) -> dict[str, Tensor]:
        rate = adam.corrected_rate(step, learning_rate * self.adam_lr_ratio, self.adam_beta_1, self.adam_beta_2)
        return {"learning_rate": learning_rate, "adam_rate": rate}

    def update(self, gradient: Tensor, value: Tensor, slots: Slots, learning_rate: Tensor, adam_rate: Tensor) -> tuple[Tensor, Slots]:
        if "velocity" in slots:
            return adam.update(gradient, value, slots, adam_rate, beta_1=self.adam_beta_1, beta_2=self.adam_beta_2, epsilon=self.epsilon)
        return update(
            gradient,
            value,
            slots,
            learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            ns_steps=self.ns_steps,
            coefficients=(self.muon_a, self.muon_b, self.muon_c),
            rms_rate=self.rms_rate,
        )
