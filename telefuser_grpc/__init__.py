"""TeleFuser gRPC: serves diffusion pipelines over gRPC and REST."""

__version__ = "0.1.0"
