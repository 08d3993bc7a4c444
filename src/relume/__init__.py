"""Relume restores old photos: five HTTP contracts on one durable job engine."""

__version__ = "0.1.0"
