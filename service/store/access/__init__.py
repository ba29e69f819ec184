"""Identities, as they are written down: tenants, organisations, users and keys."""
