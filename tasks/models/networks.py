"""The Keras family's networks, built and trained by TensorFlow, which is imported here and only once it is needed.

Keras brings layers, optimizers and the file format. The loop over epochs is our own: a whole epoch runs inside one
TensorFlow graph, several times faster on small tables than `Model.fit`, and without the memory that Keras 3.15's
`Optimizer.apply` leaves behind at every model (2 MB, which a search of hundreds of trials would feel).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.errors import TrainingFailed
from tasks.models.model import Fitting
from tasks.models.objectives import Objective
from tasks.models.outputs import network_answers, quiet_keras
from tasks.models.rounds import Boosted, Watched, boost, straight
from tasks.records import Floats

UNTUNED_EPOCHS = 30
"""What a fit takes when neither the config nor validation rows say how many."""
STEPS_A_CALL = 500
"""Batches that TensorFlow works off before it is asked whether there is time left."""
RAREST = 1e-6
"""The probability that a class starts from which the training rows lack."""
OPTIMIZERS = {"adam": "Adam", "adamax": "Adamax", "adagrad": "Adagrad", "rmsprop": "RMSprop", "sgd": "SGD"}
"""Those whose whole rule is Keras's `update_step`; of Nadam and AdamW part of it is elsewhere."""
WITH_MOMENTUM = ("sgd", "rmsprop")
HE_INITIALIZED = ("relu", "elu", "gelu", "silu")
"""Activations whose layers start from He et al. (2015); the others from Glorot and Bengio (2010)."""


@dataclass(frozen=True)
class Rows:
    """What a network reads: `values` float32 (rows, features), `truth` (rows,), `weight` float32 (rows,)."""

    values: Any
    truth: Any
    weight: Any


@dataclass(frozen=True)
class Watch:
    """The rows an early stop watches, and how long: at most `most` epochs, and `patience` of them without a gain."""

    rows: Rows
    most: int
    patience: int


@dataclass(frozen=True)
class Design:
    """A network's settings by the hyperparameters' names; `layers` are the hidden layers' units."""

    layers: tuple[int, ...]
    activation: str
    dropout: float
    l2: float
    optimizer: str
    momentum: float
    learning_rate: float
    schedule: str
    decay_rate: float
    decay_epochs: int
    batch_size: int
    objective: Objective

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0, however many there will be: the first k of more are the same as k."""
        if self.schedule == "exponential":
            return self.learning_rate * self.decay_rate**epoch
        if self.schedule == "cosine":
            return self.learning_rate * max(0.01, (1 + math.cos(math.pi * min(1.0, epoch / self.decay_epochs))) / 2)
        return self.learning_rate


def train(
    design: Design, form: dict[str, Any], rows: Rows, epochs: int | None, watch: Watch | None, fitting: Fitting
) -> tuple[Any, Boosted]:
    """A network of so many epochs; without their number, as many as the watched rows call for.

    Its outputs are raw (see `network_answers`). Raises ArithmeticError for a network that diverged.
    """
    keras = start_tensorflow(fitting.threads)
    network = _built(keras, design, rows, form, fitting.seed)
    answers = network_answers(network, form)
    update = _epoch(network, keras, design, rows, form, fitting)
    if epochs is not None or watch is None:
        made = straight(update, epochs or UNTUNED_EPOCHS)
        prediction = None if watch is None else _finite(answers(watch.rows.values), design)
        return network, Boosted(made, prediction)
    newest: deque[list[Any]] = deque(maxlen=watch.patience + 1)  # the best epoch is always among these

    def answer() -> Floats:
        newest.append(network.get_weights())
        return _finite(answers(watch.rows.values), design)

    boosted = boost(update, answer, Watched(watch.rows.truth), fitting, watch.most, watch.patience)
    made = 0 if boosted.curve is None else len(boosted.curve)
    network.set_weights(newest[boosted.rounds - made - 1])
    return network, boosted


def _finite(prediction: Floats, design: Design) -> Floats:
    if not np.isfinite(prediction).all():
        raise ArithmeticError(f"the network diverged; a learning_rate below {design.learning_rate:g} may help")
    return prediction


def _epoch(network: Any, keras: Any, design: Design, rows: Rows, form: dict[str, Any], fitting: Fitting) -> Callable[[], int]:
    """The function that trains one more epoch, and says how many there are. Raises ArithmeticError for weights that are no numbers."""
    optimizer = _optimizer(keras, design)
    optimizer.build(network.trainable_variables)
    steps = _steps(network, optimizer, _row_loss(design, form), rows)
    made = [0]

    def update() -> int:
        for batches in _batches(len(rows.truth), design.batch_size, fitting.seed, made[0]):
            steps(batches, np.float32(design.rate(made[0])))
        for weights in network.get_weights():
            _finite(weights, design)
        made[0] += 1
        return made[0]

    return update


def _batches(rows: int, size: int, seed: int, epoch: int) -> Iterator[Any]:
    """Row positions of an epoch in an order of its own, as arrays (batches, rows of a batch); rows that fill no batch wait for the next."""
    size = min(size, rows)
    order = np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)
    whole = order[: rows // size * size].reshape(-1, size)
    for start in range(0, len(whole), STEPS_A_CALL):
        yield whole[start : start + STEPS_A_CALL]


def _built(keras: Any, design: Design, rows: Rows, form: dict[str, Any], seed: int) -> Any:
    """Dense layers, each followed by dropout, and one output a class (one in all for two classes or a regression)."""
    inputs = outputs = keras.Input((rows.values.shape[1],), name="columns")
    start = keras.initializers.HeUniform if design.activation in HE_INITIALIZED else keras.initializers.GlorotUniform
    penalty = keras.regularizers.L2(design.l2) if design.l2 else None
    for k, units in enumerate(design.layers):
        kernel: dict[str, Any] = {"kernel_initializer": start(seed=seed + 2 * k), "kernel_regularizer": penalty}
        outputs = keras.layers.Dense(units, activation=design.activation, name=f"hidden_{k + 1}", **kernel)(outputs)
        if design.dropout:
            outputs = keras.layers.Dropout(design.dropout, seed=seed + 2 * k + 1, name=f"dropout_{k + 1}")(outputs)
    first = _first_outputs(rows, form)
    head = keras.layers.Dense(len(first), kernel_initializer=keras.initializers.GlorotUniform(seed=seed), name="answer")
    network = keras.Model(inputs, head(outputs), name="network")
    head.bias.assign(first)
    return network


def _first_outputs(rows: Rows, form: dict[str, Any]) -> Any:
    """What an untrained network says: how frequent each class is, or the mean. A class without rows stays near nought."""
    if form["kind"] not in ("binary", "multiclass"):
        return np.zeros(1, dtype=np.float32)
    counts = np.bincount(rows.truth.astype(np.int64), rows.weight, minlength=form["classes"])
    logs = np.log(np.maximum(counts / counts.sum(), RAREST))
    return (logs[1:] - logs[:1] if form["kind"] == "binary" else logs).astype(np.float32)


def _optimizer(keras: Any, design: Design) -> Any:
    momentum = {"momentum": design.momentum} if design.optimizer in WITH_MOMENTUM else {}
    return getattr(keras.optimizers, OPTIMIZERS[design.optimizer])(learning_rate=design.learning_rate, **momentum)


def _row_loss(design: Design, form: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """truth (rows,), outputs (rows, outputs) -> loss (rows,)."""
    import tensorflow as tf

    alpha, delta = design.objective.alpha or 0.5, (design.objective.delta or 1.0) / form.get("scale", 1.0)

    def huber(error: Any) -> Any:
        return tf.where(tf.abs(error) <= delta, tf.square(error) / 2, delta * (tf.abs(error) - delta / 2))

    losses: dict[str, Callable[[Any, Any], Any]] = {
        "binary": lambda truth, out: tf.nn.sigmoid_cross_entropy_with_logits(truth, out[:, 0]),
        "multiclass": lambda truth, out: tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(truth, tf.int32), out),
        "squared": lambda truth, out: tf.square(truth - out[:, 0]),
        "absolute": lambda truth, out: tf.abs(truth - out[:, 0]),
        "huber": lambda truth, out: huber(truth - out[:, 0]),
        "quantile": lambda truth, out: tf.maximum(alpha * (truth - out[:, 0]), (alpha - 1) * (truth - out[:, 0])),
        "poisson": lambda truth, out: tf.exp(out[:, 0]) - truth * out[:, 0],
    }
    return losses[form["kind"] if form["kind"] in losses else design.objective.kind]


def _steps(network: Any, optimizer: Any, row_loss: Callable[[Any, Any], Any], rows: Rows) -> Callable[[Any, Any], None]:
    """The function (batches of row positions, learning rate) -> None that takes one gradient step a batch, as one graph."""
    import tensorflow as tf

    values, truth, weight = tf.constant(rows.values), tf.constant(rows.truth), tf.constant(rows.weight)
    variables = network.trainable_variables

    def step(chosen: Any, rate: Any) -> None:
        with tf.GradientTape() as tape:
            outputs = network(tf.gather(values, chosen), training=True)
            loss = tf.reduce_mean(tf.gather(weight, chosen) * row_loss(tf.gather(truth, chosen), outputs))
            loss = tf.add_n([loss, *network.losses])
        for gradient, variable in zip(tape.gradient(loss, variables), variables, strict=True):
            optimizer.update_step(gradient, variable, rate)
        optimizer.iterations.assign_add(1)

    def epoch(batches: Any, rate: Any) -> None:
        def body(k: Any) -> Any:
            step(batches[k], rate)
            return k + 1

        tf.while_loop(lambda k: k < tf.shape(batches)[0], body, [0], parallel_iterations=1)

    shapes = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.float32)]
    compiled: Callable[[Any, Any], None] = tf.function(epoch, input_signature=shapes, autograph=False)
    return compiled


def start_tensorflow(threads: int) -> Any:
    """The keras module, on TensorFlow, repeatable, with so many threads: a process keeps those that it first computed with."""
    keras = quiet_keras()
    if keras.backend.backend() != "tensorflow":
        raise TrainingFailed(f"family keras trains on TensorFlow, this process has Keras on {keras.backend.backend()}; unset KERAS_BACKEND")
    _settle(threads)
    return keras


@functools.cache
def _settle(threads: int) -> None:
    import tensorflow as tf

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of every graph after the fifth, and each trial has two
    tf.config.experimental.enable_op_determinism()
    with contextlib.suppress(RuntimeError):  # TensorFlow's word for: it has computed already, so these are settled
        tf.config.set_visible_devices([], "GPU")
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
