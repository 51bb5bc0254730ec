"""The retrain's own parts: its search, whom a challenger is judged against."""
