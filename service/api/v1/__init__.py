"""The API of tenants, their people and their log-ins, under /api/v1, in an envelope."""
