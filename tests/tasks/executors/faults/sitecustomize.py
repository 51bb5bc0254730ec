"""On a worker's path, a LightGBM whose `max_cat_to_onehot` above 100 makes a fit go wrong in earnest.

Python imports this module by its name in every process that has this folder on its PYTHONPATH.
"""

import ctypes
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path


def raise_error():
    raise ValueError("the library said no")


def segfault():
    print("about to crash", flush=True)
    ctypes.string_at(0)


def abort():
    os.abort()


def leave():
    os._exit(3)


def hang():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def hold_the_interpreter():
    ctypes.PyDLL(None).sleep(600)


def eat_slowly():
    eaten = []
    while True:
        eaten.append(b"x" * 20_000_000)
        time.sleep(0.01)


def eat_at_once():
    import numpy as np

    np.ones(10**10)


def write_much():
    os.write(2, b"said a lot\n" * 600_000)


def wait_to_be_killed():
    """Only the first time; the file that MARK names says who waits."""
    mark = Path(os.environ["MARK"])
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(600)


def always_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def start_a_child():
    import subprocess

    child = subprocess.Popen(["sleep", "600"])
    Path(os.environ["MARK"]).write_text(str(child.pid))
    time.sleep(600)


def take_a_second():
    time.sleep(1)


IN_ORDER = (
    raise_error, segfault, abort, leave, hang, hold_the_interpreter, eat_slowly, eat_at_once, write_much,
    wait_to_be_killed, always_killed, start_a_child, take_a_second,
)  # fmt: skip


def prepare_for_two_seconds():
    time.sleep(2)


def prepare_for_ever():
    time.sleep(600)


FAULTS = dict(enumerate(IN_ORDER, start=101))
NOT_A_NUMBER = 150
IN_PREPARING = {160: prepare_for_two_seconds, 161: prepare_for_ever}


class Finder(importlib.abc.MetaPathFinder):
    """Finds tasks.models.lightgbm as everybody does, and changes its `fit` once it is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != "tasks.models.lightgbm":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            change(module)

        spec.loader.exec_module = exec_module
        return spec


def change(module):
    from dataclasses import replace

    fit, prepare = module.LightGBM.fit, module.LightGBM.prepare

    def slow_to_prepare(self, train, valid, fitting):
        number = self.hyperparameters.get("max_cat_to_onehot", 0)
        if number in IN_PREPARING:
            IN_PREPARING[number]()
        return prepare(self, train, valid, fitting)

    def faulty(self, prepared, fitting):
        number = self.hyperparameters.get("max_cat_to_onehot", 0)
        if number in FAULTS:
            FAULTS[number]()
        native = fit(self, prepared, fitting)
        return replace(native, valid_prediction=native.valid_prediction * float("nan")) if number == NOT_A_NUMBER else native

    module.LightGBM.fit, module.LightGBM.prepare = faulty, slow_to_prepare


sys.meta_path.insert(0, Finder())
