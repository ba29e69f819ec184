"""Companies, and the predictions of their default: the nouns, without the arithmetic."""
