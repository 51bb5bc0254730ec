"""Notices: who is told of an occurrence, by webhook or mail. That one cannot be sent never fails a run."""
