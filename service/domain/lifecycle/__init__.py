"""The life of an alert that people work on: one problem over time, from triggered to resolved."""
