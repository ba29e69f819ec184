"""Event logs on the command line: rules are checked, tested and tried on a log, and logs are planned."""
