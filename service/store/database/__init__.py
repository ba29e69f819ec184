"""One database behind two dialects: SQLite and PostgreSQL."""
