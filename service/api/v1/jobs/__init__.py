"""Bulk: files of companies are uploaded or named, and scored in the background, under /api/v1."""
