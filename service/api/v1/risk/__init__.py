"""Companies, who sees them, and predictions of their default, under /api/v1."""
