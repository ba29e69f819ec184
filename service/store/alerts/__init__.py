"""Alerts as people work on them: what runs and people change of them, and what can be asked."""
