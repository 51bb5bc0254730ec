"""Reconciling: what a killed process left behind as if it were alive is ended: runs, trials, scratch, approvals that nobody answered."""
