"""Identities: who asks, what they may do, and whose rows they see."""
