"""Wear: how often a test window was used to decide. Whoever asks the same rows often enough fits to their chance.

Source: Dwork et al., The reusable holdout (2015): what a held-out set says loses its worth with every adaptive use.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tasks.records import Decided, Wear

UNDECIDED = frozenset({"unchanged", "data_rejected", "failed"})
"""Verdicts that no score led to."""
SHARE = 0.5
"""An earlier window counts from this share of today's on."""


def count_wear(earlier: Sequence[Decided], first: datetime, last: datetime, limit: int) -> Wear:
    """How many earlier decisions rest on at least half of the test window from `first` to `last` (both included).

    The share is one of time: what is known of an earlier decision is where its window began and ended, not its rows.
    Retrains that ended without a score (unchanged, rejected data, a failure) decided nothing.
    """
    first, last = _aware(first), _aware(last)
    uses = sum(record.verdict not in UNDECIDED and _covers(record, first, last) for record in earlier)
    return Wear(uses, limit)


def _covers(record: Decided, first: datetime, last: datetime) -> bool:
    shared = min(last, _aware(record.last)) - max(first, _aware(record.first))
    return shared >= timedelta(0) and shared >= SHARE * (last - first)


def _aware(moment: datetime) -> datetime:
    """In UTC, which a moment without a zone is taken to be in."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
