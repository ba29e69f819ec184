"""Jobs: files that are scored in the background, by one instance at a time."""
