"""Time, threads, garbage, and files for their owner alone."""
