"""The platform as Pulumi components, one per file, composed by ``platform.py``. Imports only ``schemas``."""
