"""The stages of a retrain and the parts they are made of."""
