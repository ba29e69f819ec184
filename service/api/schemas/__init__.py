"""What the API takes and answers, and what `--json` prints."""
