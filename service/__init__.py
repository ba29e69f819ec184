"""Risk alerts: which accounts are At Risk, reported once per account and month."""
