"""The tables, and how an older database becomes this version's."""
