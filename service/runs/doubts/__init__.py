"""Doubts settled from evidence: what a bot finds, or does not find, in its channels' history."""
