"""Objects in gs:// and s3://, read in ranges of the version that was listed."""
