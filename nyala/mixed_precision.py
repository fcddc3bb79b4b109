# SPDX-License-Identifier: Apache-2.0
"""Computing in 16 bits with float32 weights: nyala.mixed_precision."""

from nyala.dtype_policies.policy import DTypePolicy, dtype_policy, set_dtype_policy
from nyala.optimizers.loss_scale import LossScaleOptimizer

Policy = DTypePolicy
set_global_policy = set_dtype_policy
global_policy = dtype_policy

__all__ = ["DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]
