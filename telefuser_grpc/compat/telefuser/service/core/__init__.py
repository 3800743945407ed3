"""The parts of the service that pipeline files import."""
