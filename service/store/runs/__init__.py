"""Runs, their leases, how they are resumed, and requests made again."""
