"""Taking profiles back: what can be erased, by when it is gone, and whether it is (docs/retention.md)."""
