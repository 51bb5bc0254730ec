"""Delivering: several notices side by side, each tried again within its time, none longer than that."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAUSES = (0.5, 1.5)
"""Seconds before the second and the third attempt."""
GRACE_SECONDS = 0.5
"""What an attempt may take to notice that its time is up."""


class NotSent(Exception):
    """Why a notice did not get out, in words that hold no secret. `passing`: a moment later it may work."""

    def __init__(self, why: str, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


@dataclass(frozen=True)
class Delivery:
    """One notice on its way. `attempt` is given the seconds that are left, and raises NotSent."""

    name: str
    attempt: Callable[[float], None]
    seconds: float


def deliver(deliveries: Sequence[Delivery]) -> list[str | None]:
    """Send all of them at the same time; for each why it could not be sent, None where it was.

    Returns when the last one is done, and at the latest when the longest time is up: whatever still hangs then is left
    to a thread that nobody waits for.
    """
    began, outcomes = time.monotonic(), dict[int, str | None]()
    threads = []
    for place, delivery in enumerate(deliveries):

        def send(place: int = place, delivery: Delivery = delivery) -> None:
            outcomes[place] = _outcome(delivery)

        threads.append(threading.Thread(target=send, name=f"evertune-notice-{place}", daemon=True))
    for thread in threads:
        thread.start()
    for thread, delivery in zip(threads, deliveries, strict=True):
        thread.join(max(0.0, began + delivery.seconds + GRACE_SECONDS - time.monotonic()))
    return [outcomes.get(place, f"no answer within {delivery.seconds:g} seconds") for place, delivery in enumerate(deliveries)]


def _outcome(delivery: Delivery) -> str | None:
    try:
        _try_again(delivery)
    except NotSent as error:
        return str(error)
    except Exception as error:  # a bug of ours or a library's; its own words may quote an address or a token
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}"
    return None


def _try_again(delivery: Delivery) -> None:
    """At most three attempts; only what may pass is tried again, and only while there is time."""
    deadline = time.monotonic() + delivery.seconds
    for pause in PAUSES:
        try:
            return delivery.attempt(deadline - time.monotonic())
        except NotSent as error:
            if not error.passing or time.monotonic() + pause >= deadline:
                raise
        time.sleep(pause)
    return delivery.attempt(deadline - time.monotonic())
