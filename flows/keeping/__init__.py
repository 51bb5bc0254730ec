"""State kept in good order: cleaned, backed up, upgraded."""
