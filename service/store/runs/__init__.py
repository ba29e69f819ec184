"""Runs, their leases, and requests made again."""
