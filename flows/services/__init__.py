"""Servers and child processes: the user's, asked before a run; our own, started, guarded and ended."""
