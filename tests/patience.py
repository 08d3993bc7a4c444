"""How long a test waits for what must happen."""

PATIENCE = 180.0
"""Seconds: many times what anything takes on an idle machine. A test that fails for a busy one says nothing."""
