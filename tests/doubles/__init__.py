"""Servers that speak another service's wire on loopback, and fail as they are told."""
