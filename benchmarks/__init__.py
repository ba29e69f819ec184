"""Benchmarks: every figure that the documents quote is printed by a command here."""
