"""The reporting period of a statement, as people write it."""


def period_text(year: int, quarter: int) -> str:
    """Return a period as people write it: `2025`, `2025-Q3`."""
    return f"{year}-Q{quarter}" if quarter else str(year)
