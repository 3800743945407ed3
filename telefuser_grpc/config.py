"""Settings, read once from flags, environment and `.env`."""
