"""Events: what Evertune tells Prefect, and what set off a retrain beside the clock: new data, drift, decay, somebody else's event."""
