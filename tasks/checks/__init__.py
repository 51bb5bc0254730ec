"""What is asked of a table before anything is trained on it: roles, types, times, labels, expectations, leakage."""
