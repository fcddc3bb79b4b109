# SPDX-License-Identifier: Apache-2.0
"""Reinforcement learning without fit: a pole balanced on a cart. nyala.jit compiles what acts and what learns, nyala.value_and_grad differentiates.

    python examples/reinforcement.py [--quick] [--picture reinforcement.png]

Many carts are simulated at once with NumPy. Start at main, which is the whole loop.
Source: Williams 1992, Simple statistical gradient-following algorithms; the cart: Barto, Sutton, Anderson 1983, Neuronlike adaptive elements.
"""

import numpy as np
from drawing import arguments, pyplot, save

import nyala
from nyala import layers, ops

CARTS, LENGTH, DISCOUNT = 32, 200, 0.99
GRAVITY, CART, POLE, HALF, FORCE, TICK = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02


def moved(state, right):
    """The carts after one tick: (position, speed, angle, turning) of each, pushed right or left."""
    position, speed, angle, turning = state.T
    force = np.where(right, FORCE, -FORCE)
    sine, cosine, mass = np.sin(angle), np.cos(angle), CART + POLE
    pushed = (force + POLE * HALF * turning**2 * sine) / mass
    turn = (GRAVITY * sine - cosine * pushed) / (HALF * (4 / 3 - POLE * cosine**2 / mass))
    push = pushed - POLE * HALF * turn * cosine / mass
    return np.stack([position + TICK * speed, speed + TICK * push, angle + TICK * turning, turning + TICK * turn], 1).astype("float32")


def fallen(state):
    return (np.abs(state[:, 0]) > 2.4) | (np.abs(state[:, 2]) > np.radians(12))


def play(act, random, carts=CARTS):
    """One game on each cart: states (t, c, 4), actions (t, c) and whether the pole still stood (t, c)."""
    state, stands, seen = random.uniform(-0.05, 0.05, (carts, 4)).astype("float32"), np.ones(carts, bool), []
    for _ in range(LENGTH):
        right = random.uniform(size=carts) < np.asarray(ops.convert_to_numpy(act(state)))
        seen.append((state, right, stands))
        state = moved(state, right)
        stands = stands & ~fallen(state)
    return tuple(np.stack(parts) for parts in zip(*seen, strict=True))


def returns_of(stands):
    """Discounted sums of the ticks to come."""
    total, result = np.zeros(stands.shape[1]), []
    for now in stands[::-1].astype("float64"):
        total = now * (1 + DISCOUNT * total)
        result.append(total)
    return np.stack(result[::-1])


def main(options=None):
    options = arguments(__doc__, "reinforcement.png", options)
    nyala.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    policy = nyala.Sequential([nyala.Input((4,)), layers.Dense(32, "tanh"), layers.Dense(1)])
    optimizer = nyala.optimizers.Adam(0.02)
    optimizer.build(policy.trainable_variables)

    @nyala.jit
    def act(state):
        """The probability of a push to the right."""
        return ops.sigmoid(policy(state))[:, 0]

    @nyala.jit
    def learn(states, right, advantages):
        """One step up the gradient of the expected return."""

        def loss_fn():
            logits = policy(ops.reshape(states, (-1, 4)))[:, 0]
            surprise = ops.binary_crossentropy(ops.reshape(right, (-1,)), logits, from_logits=True)
            return ops.mean(surprise * ops.reshape(advantages, (-1,))), None

        (loss, _), gradients = nyala.value_and_grad(loss_fn, policy.trainable_variables)()
        optimizer.apply(gradients, policy.trainable_variables)
        return loss

    lengths = []
    for _ in range(2 if options.quick else 60):
        states, right, stands = play(act, random)
        lengths.append(stands.sum(0))
        returns = returns_of(stands)
        baseline = returns.sum(1, keepdims=True) / np.maximum(stands.sum(1, keepdims=True), 1)
        advantages = np.where(stands, returns - baseline, 0)
        learn(states, right.astype("float32"), (advantages / (advantages.std() + 1e-8)).astype("float32"))

    low, middle, high = np.percentile(lengths, [10, 50, 90], axis=1)
    figure, axis = pyplot.subplots(figsize=(7, 4))
    axis.fill_between(range(len(middle)), low, high, alpha=0.3, label="most carts")
    axis.plot(middle, label="median")
    axis.set(xlabel="update", ylabel=f"ticks until the pole falls, at most {LENGTH}", title="Balancing a pole by REINFORCE")
    axis.legend()
    save(figure, options.picture)
    print(f"the pole stood for {middle[0]:.0f} ticks at first, {middle[-1]:.0f} in the end -> {options.picture}")
    return {"median": middle, "traces": (act.traces, learn.traces)}


if __name__ == "__main__":
    main()
