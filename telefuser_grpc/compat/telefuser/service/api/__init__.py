"""The service, for programs that start it themselves."""
