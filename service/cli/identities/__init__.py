"""The commands about identities: keys, and what was done by whom."""
