"""Time, threads and garbage."""
