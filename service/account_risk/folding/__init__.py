"""Rows are folded: to the latest row of each account month, and to the candidates for an alert."""
