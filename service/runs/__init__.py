"""One run from its request to its finish: evaluate, record, deliver, report."""
