"""Defines no service."""
