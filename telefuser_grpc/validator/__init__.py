"""Lints pipeline files for code that a server should not load unseen."""
