"""The documented Image-to-Video interface: one call from a picture to a video."""
