"""Where rows lie: local files and buckets, listed, pinned and opened."""
