# SPDX-License-Identifier: Apache-2.0
"""Variable: a value that programs read and assign; Scope: where reads and writes go while a function is made pure.

Layers write stateful code, engines want pure functions. `purify` joins the two: inside a scope the variables have the values that were passed in,
and what is assigned stays in the scope until it is handed out. Values start on the host and move to an engine on first use.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from nyala.core import dtypes, names, sharding
from nyala.core.errors import ArgumentError, ArgumentTypeError, ResourceLimitError, ShapeError
from nyala.engines import current, engine, get_engine, real_engine, using
from nyala.engines.protocol import Engine, Tensor

Called = TypeVar("Called", bound=Callable[..., Any])


class _State(threading.local):
    """Scopes of this thread, innermost last, and the dtype that float variables are read in."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.autocast: str | None = None
        self.plan: Plan | None = None
        self.plainly = False  # whether variables show their values rather than their leaves, see Variable.leaf


state = _State()
_numbers = itertools.count()


class Scope:
    """Inside, the given variables have the given values; what is assigned to any variable lands in `values`.

    Attributes:
        values: id of a variable -> its value here.
        touched: id -> variable, of all that were assigned here.
        read: id -> variable, of all that were read here or further in.
        missing: id -> variable, of those read here that no scope gave a value: a trace would bake them in as constants.
    """

    def __init__(self, variables: Sequence[Variable] = (), values: Sequence[Tensor] = ()) -> None:
        self.values: dict[int, Tensor] = dict(zip(map(id, variables), values, strict=True))
        self.touched: dict[int, Variable] = {}
        self.read: dict[int, Variable] = {}
        self.missing: dict[int, Variable] = {}

    def __enter__(self) -> Scope:
        state.scopes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        state.scopes.remove(self)


def scope(variables: Sequence[Variable], values: Sequence[Tensor]) -> Scope:
    """A context in which `variables` have `values`; see Scope."""
    return Scope(variables, values)


def purify(function: Callable, variables: Sequence[Variable]) -> Callable:
    """A function that reads and assigns variables, as a pure one: (values, *args) -> (outputs, new values).

    What it read or assigned beyond `variables` is found in the attribute `missing` of the result after each call.

    >>> import nyala
    >>> count = nyala.Variable(3.0)
    >>> pure = purify(lambda step: count.assign_add(step), [count])
    >>> with nyala.backend("numpy"):
    ...     outputs, values = pure([np.float32(1.0)], 2.0)
    >>> float(values[0]), float(count)
    (3.0, 3.0)
    """
    variables = list(variables)
    known = set(map(id, variables))

    def pure(values: Sequence[Tensor], *args: Any, **kwargs: Any) -> tuple[Any, list[Tensor]]:
        with Scope(variables, values) as inside:
            outputs = function(*args, **kwargs)
        pure.missing = [v for key, v in {**inside.missing, **inside.touched}.items() if key not in known]  # type: ignore[attr-defined]
        return outputs, [inside.values[id(variable)] for variable in variables]

    pure.missing = []  # type: ignore[attr-defined]
    return pure


class Plan:
    """Inside, variables whose first value is a function get their shape and dtype only: no memory is taken and nothing is drawn.

    Attributes:
        planned: id -> variable, with what `fill` needs to give it its first value after all.
    """

    def __init__(self) -> None:
        self.planned: dict[int, tuple[Variable, Callable, Any]] = {}

    def __enter__(self) -> Plan:
        self._before, state.plan = state.plan, self
        return self

    def __exit__(self, *_: object) -> None:
        state.plan = self._before

    def unfilled(self) -> list[Variable]:
        """The variables that have no value of their own yet."""
        return [variable for variable, _, blank in self.planned.values() if variable._stored is blank]

    def fill(self) -> None:
        """Give the variables that nobody has assigned their first values."""
        for variable, initializer, blank in self.planned.values():
            if variable._stored is blank:
                variable._stored = _first_value(initializer, variable._shape, variable._dtype, variable.name)


@contextlib.contextmanager
def autocast(dtype: str | None) -> Iterator[None]:
    """Inside, float variables that allow it are read in this dtype."""
    before, state.autocast = state.autocast, dtype
    try:
        yield
    finally:
        state.autocast = before


def plainly(function: Called) -> Called:
    """A function of the library that trains, predicts or updates: no graph for a backward() of the user's begins at the variables it reads."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        before, state.plainly = state.plainly, True
        try:
            return function(*args, **kwargs)
        finally:
            state.plainly = before

    return cast("Called", run)


class Variable:
    """A tensor that programs read and assign; the state of layers, optimizers and metrics.

    Args:
        initializer: the first value: an array, number or tensor, or a function (shape, dtype) -> values, which runs on the host,
            or the name of one.
        shape: needed with a function only.
        dtype: floatx by default for numbers and functions; that of an array given.
        trainable: whether gradients update it.
        autocast: whether layers that compute in another float dtype read it in that one.
        aggregation, synchronization: kept for programs that pass them; replicas on several devices always hold one value.
        layout: how it lies over several devices, a nyala.distribution.TensorLayout; by default what the distribution in force says.
        name: by default "variable", "variable_1", ...

    >>> import nyala
    >>> v = nyala.Variable([1.0, 2.0], name="v")
    >>> _ = v.assign_add([0.5, 0.5])
    >>> v.numpy(), v.shape, v.dtype
    (array([1.5, 2.5], dtype=float32), (2,), 'float32')
    """

    __array_priority__ = 1000  # NumPy leaves `array + variable` to us
    _should_act_as_resource_variable = True  # TensorFlow's tapes ask for its `handle`
    _lent: Any = None  # the place of the value in graphs of the engine's library, while it has one: it is not in `_stored` then
    _place: Any = None  # the same, while another engine has the value
    _leaf: Any = None  # what gradients of the user's own backward() go to
    of_windows = False  # whether this is the kernel of a convolution, whose memory the engine may put in the order of its choice

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
        layout: Any = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise ArgumentTypeError("Variable", need="arguments that it knows", got=f"{sorted(kwargs)}")
        name = names.auto_name("variable") if name is None else name
        if not isinstance(name, str) or "/" in name:
            raise ArgumentError("Variable(name)", need="a string without '/'", got=repr(name), fix="use nyala.name_scope for paths")
        if aggregation not in (None, "none", "mean", "sum", "only_first_replica"):
            raise ArgumentError("Variable(aggregation)", need="'none', 'mean', 'sum' or 'only_first_replica'", got=repr(aggregation))
        if isinstance(initializer, str):
            from nyala import initializers

            initializer = initializers.get(initializer)
        plan = state.plan if callable(initializer) and shape is not None else None
        value = _first_value(initializer, shape, dtype, name) if plan is None else _blank(shape, dtype, name)
        if plan is not None:
            plan.planned[id(self)] = self, initializer, value
        self._stored: Any = value  # of `_owner`, or a host array while that is None
        self._owner: Engine | None = None
        self._shape: tuple[int, ...] = tuple(value.shape)
        self._dtype: str = dtypes.standardize_dtype(value.dtype)
        self._trainable = self.made_trainable = bool(trainable)  # freezing changes the first, the second says which role it was made for
        self.autocast = bool(autocast)
        self.aggregation = aggregation or "none"
        self.synchronization = synchronization or "auto"
        self.layout = layout  # over several devices, a TensorLayout; None without a distribution
        self.name = name
        path = names.current_path()
        self.path = f"{path}/{name}" if path else name
        self.number = next(_numbers)  # in the order in which variables are made
        self.of_layer = False  # whether add_weight made it
        self.constraint: Callable | None = None
        self.regularizer: Callable | None = None
        self.overwrite_with_gradient = False
        self.held = False  # frozen for good: making the layer trainable does not change it
        if sharding.current is not None and layout is None:
            self.layout = sharding.layout_for(self)

    # Value ------------------------------------------------------------------------------------------------------------------------

    @property
    def value(self) -> Tensor:
        """The value in force here, of the current engine."""
        here = current()
        casts = self._casts()
        if here.abstract:
            for inside in state.scopes:
                inside.read[id(self)] = self
            return here.placeholder(self, state.autocast if casts else self._dtype)  # type: ignore[attr-defined]
        if here.lends:
            self._lend_to_graphs(here)
            here.seen(self)
        value = self._uncast() if self._leaf is None or state.scopes or state.plainly or not here.has_backward else self.leaf()
        return here.cast(value, state.autocast) if casts else value

    def leaf(self) -> Tensor:
        """The value as a tensor of its own, the same one each time, that gradients of a backward() of the user's go to, as `.grad`.

        Only on engines that have such tensors. What is written into either is in both."""
        self._leaf = real_engine().leaf(self.stored(), self._leaf)
        return self._leaf

    def _uncast(self) -> Tensor:
        """The value in force here, in its own dtype."""
        value = self._scoped()
        return self.stored() if value is None else value

    def _casts(self) -> bool:
        return state.autocast is not None and self.autocast and self._dtype != state.autocast and dtypes.is_float(self._dtype)

    def _scoped(self) -> Tensor | None:
        """The value that an enclosing scope gives, noting the read; None without one."""
        key = id(self)
        for inside in reversed(state.scopes):
            inside.read[key] = self
            if key in inside.values:
                return inside.values[key]
        if state.scopes:
            state.scopes[0].missing[key] = self
        return None

    def stored(self) -> Tensor:
        """The value outside of all scopes, moved to the current engine."""
        here = real_engine()
        if here.lends:
            self._lend_to_graphs(here)
        return self._moved_to(here)

    def _moved_to(self, here: Engine) -> Tensor:
        if self._owner is here:
            return self._stored
        if self._lent is not None:
            if here.lends:
                return self._lent.read()
            if not self._lent.ours:
                return here.asarray(self._lent.numpy(), self._dtype)
            self._take_back()
        elif here.lends and self._place is not None:
            return self._give_back().read()
        with here.outside_graphs():
            value = self._placed(here)
        if here.lends or not state.scopes:  # inside a trace of another engine the result may live only as long as the trace
            self._stored, self._owner = value, here
        return value

    def _placed(self, here: Engine) -> Tensor:
        """The value, moved to an engine."""
        if self.layout is not None and here.shards:
            return here.place(self._host().astype(dtypes.numpy_dtype(self._dtype), copy=False), self.layout)
        return self.arranged(here.asarray(self._host(), self._dtype), here)

    def store(self, value: Tensor) -> None:
        """Set the value outside of all scopes, a tensor of the current engine of the right shape and dtype, unchecked."""
        owner = real_engine()
        if owner.lends:
            self._lend_to_graphs(owner)
            if self._place is not None:
                self._give_back()
        if self._lent is not None:
            if owner.lends or not self._lent.ours:
                self._lent.write(value if owner.lends else owner.to_numpy(value))
                return
            self._take_back()
        self._stored, self._owner = self.arranged(owner.settled(value), owner), owner

    def _lend_to_graphs(self, here: Engine) -> None:
        """In a graph that is none of ours: move the value to where such graphs read it when they run."""
        if self._lent is not None or state.scopes or not here.in_graph():
            return
        if self._place is not None:
            self._give_back()
            return
        self._lent = here.lend(self._stored if self._owner is here else self._host(), self.name)
        self._stored = self._owner = None

    def _take_back(self) -> None:
        """To another engine; graphs that hold the place cannot go on until the value is given back."""
        place, self._lent = self._lent, None
        self._stored, self._owner, self._place = place.empty(), None, place

    def _give_back(self) -> Any:
        """To the place where graphs look for it."""
        place, self._place = self._place, None
        place.fill(self._host())
        self._stored, self._owner, self._lent = None, None, place
        return place

    @property
    def handle(self) -> Tensor:
        """What a tf.GradientTape knows the variable by, on the engine 'tensorflow'."""
        value = self._scoped()
        if value is not None:
            return value
        return self._moved_to(real_engine()) if self._lent is None else self._lent.handle

    def arranged(self, value: Tensor, engine: Engine) -> Tensor:
        """The value as it lies over several devices, and as the engine likes it to lie in memory."""
        if self.layout is not None and engine.shards:
            value = engine.laid_out(value, self.layout)
        return engine.arranged(value) if self.of_windows else value

    def _host(self) -> np.ndarray:
        if self._lent is not None:
            return self._lent.numpy()
        return self._stored if self._owner is None else self._owner.to_numpy(self._stored)

    def assign(self, value: Any) -> Tensor:
        """Set the value; the shape must be equal, the dtype is cast. Returns the new value."""
        from nyala.core.op import convert

        here = current()
        value = convert(value)
        if tuple(here.shape(value)) != self._shape:
            raise ShapeError(
                f"Variable {self.path!r}",
                need=f"a value of shape {self._shape}",
                got=f"shape {tuple(here.shape(value))}",
                fix="a variable keeps the shape it was made with",
            )
        dtype = here.canonical_dtype(self._dtype)
        if here.dtype(value) != dtype:
            value = here.cast(value, dtype)
        if state.scopes:
            if self.layout is not None and here.shards:
                value = here.laid_out(value, self.layout)
            state.scopes[-1].touched[id(self)] = self
            state.scopes[-1].values[id(self)] = value
        elif here.abstract:
            pass  # shapes change nothing
        else:
            self.store(value)
        return value

    def assign_add(self, value: Any) -> Tensor:
        """Add to the value."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Tensor:
        """Subtract from the value."""
        return self.assign(self - value)

    # Description ------------------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._shape)

    @property
    def dtype(self) -> str:
        """Dtype in which it is read here: its own, or that of the layer in which it is used."""
        return state.autocast if self._casts() and state.autocast else self._dtype

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    def numpy(self) -> np.ndarray:
        """The value as an array that the caller owns."""
        value = self._scoped()
        return real_engine().to_numpy(value) if value is not None else np.array(self._host())

    def borrow(self) -> np.ndarray:
        """The value as an array to be read at once: it may be the memory of the variable itself."""
        value = self._scoped()
        if value is not None:
            return real_engine().borrow(value)
        if self._lent is not None:
            return self._lent.numpy()
        return self._stored if self._owner is None else self._owner.borrow(self._stored)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __jax_array__(self) -> Tensor:
        return self.value

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Tensor:
        return self.value

    def __tf_tracing_type__(self, context: Any) -> Any:
        """What a tf.function takes the variable for among its arguments: itself, which it may assign, on the engine 'tensorflow', else an array."""
        here = real_engine()
        return here.traced_as(self) if here.lends else sys.modules["tensorflow"].TensorSpec(self._shape, self._dtype)

    def __repr__(self) -> str:
        value = "" if self.size > 8 or self._scoped() is not None else f", value={np.array2string(self._host(), separator=', ')}"
        return f"<Variable path={self.path}, shape={self._shape}, dtype={self._dtype}{value}>"

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __index__(self) -> int:
        return self.numpy().__index__()

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a variable without axes")
        return self._shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return iter([self[i] for i in range(len(self))])

    if TYPE_CHECKING:  # `install_operators` of core/op.py writes them

        def __getitem__(self, key: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...

        __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = __getitem__
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = __getitem__
        __lt__ = __le__ = __gt__ = __ge__ = __getitem__

    def __hash__(self) -> int:
        return id(self)

    def __deepcopy__(self, memo: dict) -> Variable:
        copy = object.__new__(type(self))
        memo[id(self)] = copy
        copy.__dict__.update(self.__dict__)
        copy.__dict__.update(self._apart())
        return copy

    def __getstate__(self) -> dict:
        return {**self.__dict__, **self._apart(), "layout": None}  # devices may be others there

    def _apart(self) -> dict:
        """What a copy has of its own: the value on the host, and nothing of an engine's."""
        return {"_stored": np.array(self._host()), "_owner": None, "_lent": None, "_place": None, "_leaf": None}


_adopted: weakref.WeakValueDictionary[Any, Variable] = weakref.WeakValueDictionary()


def as_variable(value: Any) -> Any:
    """The Variable that stands for a variable of the engine's own library, such as a tf.Variable; anything else is returned as it is.

    What is assigned to one is assigned to the other; there is one Variable for each."""
    if isinstance(value, Variable):
        return value
    here = real_engine()
    place = here.place_of(value) if here.lends else None
    if place is None:
        return value
    variable = _adopted.get(place.key)
    if variable is None:
        variable = _adopted[place.key] = Variable(place.numpy(), trainable=value.trainable, name=place.name)
        variable._lent, variable._stored, variable._owner = place, None, None
    return variable


def _blank(shape: Any, dtype: Any, name: str) -> np.ndarray:
    """Zeros of a shape that take no memory."""
    size = tuple(int(n) if n is not None else _unknown(shape, name) for n in shape)
    return np.broadcast_to(np.zeros((), dtypes.numpy_dtype(dtypes.standardize_dtype(dtype))), size)


def _first_value(initializer: Any, shape: Sequence[int] | None, dtype: Any, name: str) -> np.ndarray:
    """The first value of a variable, computed on the host, so that it is the same on every engine and no trace sees it."""
    host = get_engine("numpy")
    if callable(initializer):
        if shape is None:
            raise ArgumentError(f"Variable {name!r}", need="a shape beside an initializer that is a function", got="None", fix="pass shape=(...)")
        size = tuple(int(n) if n is not None else _unknown(shape, name) for n in shape)
        dtype = dtypes.standardize_dtype(dtype)
        saved, state.scopes = state.scopes, []
        try:
            with using(host):
                value = np.asarray(initializer(size, dtype=dtype))
        except (MemoryError, OverflowError) as error:
            raise ResourceLimitError(
                f"Variable {name!r}", need="a size that fits into memory", got=f"shape {size} of {dtype}", rule="weights-declared"
            ) from error
        finally:
            state.scopes = saved
        if value.shape != size:
            raise ShapeError(f"Variable {name!r}", need=f"an initializer that returns shape {size}", got=f"shape {value.shape}")
        return np.array(value.astype(dtypes.numpy_dtype(dtype), copy=False))
    if isinstance(initializer, Variable):
        value = initializer.numpy()
    elif isinstance(initializer, (np.ndarray, np.generic, int, float, bool, complex, list, tuple)):
        value = np.asarray(initializer)
        if dtype is None and not isinstance(initializer, (np.ndarray, np.generic)):
            dtype = "bool" if value.dtype == bool else "int32" if value.dtype.kind in "iu" else None
            dtype = dtype or ("complex64" if value.dtype.kind == "c" else dtypes.standardize_dtype(None))
    else:
        value = real_engine().to_numpy(real_engine().asarray(initializer))
    dtype = dtypes.standardize_dtype(dtype if dtype is not None else value.dtype)
    if shape is not None and tuple(shape) != value.shape:
        raise ShapeError(f"Variable {name!r}", need=f"a value of shape {tuple(shape)}", got=f"shape {value.shape}")
    return np.array(value.astype(dtypes.numpy_dtype(dtype), copy=False))


def _unknown(shape: Sequence[int | None], name: str) -> int:
    raise ShapeError(
        f"Variable {name!r}",
        need="a shape without unknown sizes",
        got=f"{tuple(shape)}",
        why="weights must have a fixed size",
        fix="give the input a known size there",
    )


def values_of(variables: Sequence[Variable]) -> list[Tensor]:
    """The stored values of variables on the current engine."""
    return [variable.stored() for variable in variables]


def store_all(variables: Sequence[Variable], values: Sequence[Tensor]) -> None:
    """Store values of the current engine, in order."""
    owner = real_engine()
    for variable, value in zip(variables, values, strict=True):
        variable._stored, variable._owner = value, owner


__all__ = ["Scope", "Variable", "autocast", "engine", "purify", "scope", "state", "store_all", "values_of"]
