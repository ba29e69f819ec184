"""Identities at the HTTP door: who asks, and what they may."""
