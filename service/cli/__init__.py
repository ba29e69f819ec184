"""The command line: the same flows as the API, for people and batch jobs."""
