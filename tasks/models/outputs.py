"""A network's outputs: how it is saved and loaded, and what its numbers mean. All but `save_network` travels inside the model artifact."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tasks.records import Floats


def quiet_keras() -> Any:
    """Import Keras without what TensorFlow tells of itself on standard error; anything else that is said there still is."""
    import gc  # this text travels
    import sys
    import tempfile

    if "keras" in sys.modules:
        return sys.modules["keras"]
    for name, value in (("KERAS_BACKEND", "tensorflow"), ("TF_CPP_MIN_LOG_LEVEL", "2"), ("TF_ENABLE_ONEDNN_OPTS", "1")):
        os.environ.setdefault(name, value)
    collected, kept = gc.isenabled(), os.dup(2)
    gc.disable()  # a fifth of the import
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import keras
            import tensorflow as tf
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            os.write(2, b"".join(line for line in said if not line.startswith((b"I0000 ", b"WARNING: All log messages before absl"))))
            if collected:
                gc.enable()
    # graphs as they were written: rewriting one costs 0.2 s, and makes it slower on few cores
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    return keras


def readable(values: Floats) -> Any:
    """A dense matrix as networks read it: float32, 30 standard deviations at the most, beyond which one value would drown all others."""
    return np.clip(values, -30, 30).astype(np.float32)


def network_answers(network: Any, form: dict[str, Any]) -> Callable[[Floats], Floats]:
    """A network and the form of its outputs -> the function from matrix to raw prediction.

    Forms: binary and multiclass (log odds), value (standardized: `centre` and `scale`), rate (the logarithm, by `scale`).
    """

    import tensorflow as tf

    shape = [tf.TensorSpec([None, network.input_shape[-1]], tf.float32)]
    outputs = tf.function(lambda rows: network(rows, training=False), input_signature=shape, autograph=False)

    def answers(values: Floats) -> Floats:
        parts = [outputs(readable(values[k : k + 8192])).numpy() for k in range(0, len(values), 8192)]
        out = np.concatenate(parts).astype(np.float64)
        if form["kind"] == "multiclass":
            odds = np.exp(out - out.max(axis=1, keepdims=True))
            return np.asarray(odds / odds.sum(axis=1, keepdims=True))
        if form["kind"] == "binary":
            return np.asarray(np.exp(-np.logaddexp(0, -out[:, 0])))
        return np.asarray(form["scale"] * np.exp(out[:, 0]) if form["kind"] == "rate" else form["centre"] + form["scale"] * out[:, 0])

    return answers


def save_network(network: Any, form: dict[str, Any], folder: Path) -> None:
    network.save(folder / "model.keras")
    (folder / "form.json").write_text(json.dumps(form), encoding="utf-8")
