"""Monthly account rows become At Risk alerts; nothing here sends."""
