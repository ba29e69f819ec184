"""Clocks, threads, garbage collection, and files that only their owner can read."""
