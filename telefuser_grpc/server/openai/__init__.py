"""The OpenAI interface: images, videos and models, for unmodified official SDKs."""
