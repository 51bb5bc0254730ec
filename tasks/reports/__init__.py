"""What a person reads of a retrain: chapters of a page, plots, templates."""
