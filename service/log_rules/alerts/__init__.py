"""Episodes become the alerts of a run: what is sent, in which words, and what the next run begins with."""
