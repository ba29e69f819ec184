"""Event logs become alerts: events that rules match are counted in sliding windows; nothing here sends."""
