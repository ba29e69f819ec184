"""Work on alerts at the command line: listed, shown, acknowledged, resolved, created and counted."""
