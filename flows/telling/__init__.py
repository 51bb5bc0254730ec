"""What a retrain tells: MLflow runs, pages, links, notes, the live line of a terminal."""
