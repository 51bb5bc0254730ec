"""Stage: how the data moved since the champion was trained."""
