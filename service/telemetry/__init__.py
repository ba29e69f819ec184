"""What the service reports about itself: events and log lines, with secrets redacted."""
