"""Stage: why the score moved."""
