"""Companies, who sees them, and what was predicted of them, as they are written down."""
