"""The documented image-to-video interface of Wan2.1."""
