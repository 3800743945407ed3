"""The import paths of the documented programs; each module points to ours."""
