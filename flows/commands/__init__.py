"""One module a group of commands, and what stands behind it."""
