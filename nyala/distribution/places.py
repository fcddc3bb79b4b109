# SPDX-License-Identifier: Apache-2.0
"""Devices and processes: which there are, which work together, and the distribution in force."""

from __future__ import annotations

import os
from typing import Any

from nyala.core import seeds, sharding
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.distribution.mesh import TensorLayout
from nyala.distribution.strategies import Distribution
from nyala.engines import current, real_engine
from nyala.engines.protocol import Tensor

KINDS = ("cpu", "gpu", "tpu")


def list_devices(device_type: str | None = None) -> list[str]:
    """Names of the devices of all processes.

    Args:
        device_type: "cpu", "gpu" or "tpu"; by default the kind that the engine computes on.

    >>> list_devices("cpu")[0]
    'cpu:0'
    """
    if device_type is not None and (not isinstance(device_type, str) or device_type.lower() not in KINDS):
        raise ArgumentError("list_devices(device_type)", need="'cpu', 'gpu', 'tpu' or None", got=repr(device_type))
    found = real_engine().devices()
    kind = found[0].partition(":")[0] if device_type is None else device_type.lower()
    return [name for name in found if name.partition(":")[0] == kind]


def get_device_count(device_type: str | None = None) -> int:
    """Number of devices; arguments as list_devices.

    >>> get_device_count("cpu") > 0
    True
    """
    return len(list_devices(device_type))


def distribution() -> Distribution | None:
    """The distribution in force; None without one."""
    return sharding.current


def set_distribution(value: Distribution | None) -> None:
    """From now on new variables, batches and compiled steps are laid out by this distribution; None ends that.

    Set it before models are made: their weights then lie where they belong from the beginning. Weights made earlier move at their next use.
    """
    if value is not None and not isinstance(value, Distribution):
        raise ArgumentTypeError("set_distribution(value)", need="a distribution, such as DataParallel(), or None", got=repr(value))
    if value is not None:
        _require_shards("set_distribution")
    sharding.put_in_force(value)


def distribute_tensor(tensor: Any, layout: TensorLayout) -> Tensor:
    """A tensor with this layout; inside of compiled functions the compiler is told to give it that.

    Args:
        tensor: or an array.
        layout: a TensorLayout with a mesh, as many axes as the tensor has; sizes must be multiples of the numbers of devices they are divided among.
    """
    here = real_engine()
    if not isinstance(layout, TensorLayout) or layout.device_mesh is None:
        raise ArgumentTypeError("distribute_tensor(layout)", need="a TensorLayout with a device mesh", got=repr(layout))
    _require_shards("distribute_tensor")
    if current().abstract:
        return tensor  # shapes lie nowhere
    tensor = tensor if here.is_tensor(tensor) else here.asarray(tensor)
    sharding.check(tuple(tensor.shape), layout, "distribute_tensor")
    return here.laid_out(tensor, layout)


def initialize(job_addresses: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Let this process work together with others, on this machine or elsewhere; each of them runs the same program and calls this first.

    Args:
        job_addresses: "host:port" of the first process, or of all of them, separated by commas. By default the environment variable
            KERAS_DISTRIBUTION_JOB_ADDRESSES; without that the engine asks the cluster (Cloud TPU, Slurm, Open MPI).
        num_processes: how many they are; by default KERAS_DISTRIBUTION_NUM_PROCESSES, or as many as there are addresses.
        process_id: the number of this one, from 0; by default KERAS_DISTRIBUTION_PROCESS_ID.

    Weights and shuffles are those of process 0: the others take over the state of its random generator.
    """
    job_addresses = os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES") if job_addresses is None else job_addresses
    addresses = [address.strip() for address in (job_addresses or "").split(",") if address.strip()]
    count = _number(num_processes, "num_processes", "KERAS_DISTRIBUTION_NUM_PROCESSES")
    number = _number(process_id, "process_id", "KERAS_DISTRIBUTION_PROCESS_ID")
    if addresses and ":" not in addresses[0]:
        raise ArgumentError("initialize(job_addresses)", need="host:port of the first process", got=repr(addresses[0]))
    if len(addresses) > 1 and count is None:
        count = len(addresses)
    if len(addresses) > 1 and count != len(addresses):
        raise ArgumentError("initialize(num_processes)", need=f"{len(addresses)}, as many as there are addresses", got=repr(count))
    if addresses and (count is None or number is None):
        raise ArgumentError("initialize", need="num_processes and process_id beside an address", got=f"{count} and {number}")
    if count is not None and number is not None and not 0 <= number < count:
        raise ArgumentError("initialize(process_id)", need=f"a number from 0 to {count - 1}", got=repr(number))
    _require_shards("initialize")
    real_engine().join_processes(addresses[0] if addresses else None, count, number)
    seeds.share(lambda value: real_engine().from_all_processes(value)[0])


def _number(given: Any, name: str, variable: str) -> int | None:
    text = os.environ.get(variable) if given is None else given
    if text is None:
        return None
    try:
        number = int(text)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"initialize({name})", need="an integer", got=repr(text)) from error
    return number


def _require_shards(where: str) -> None:
    here = real_engine()
    if not here.shards:
        raise StateError(
            f"nyala.distribution.{where}",
            need="an engine that divides arrays among devices",
            got=f"the engine {here.name!r}",
            fix='nyala.set_backend("jax") before anything is computed',
        )
