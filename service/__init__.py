"""Risk alerts: which accounts are At Risk, told once per account and month."""
