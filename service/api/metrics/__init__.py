"""Metrics: what Prometheus reads of this process, and of the ledger that it shares."""
