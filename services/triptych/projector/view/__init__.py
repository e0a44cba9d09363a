"""The views: how events change them, and how they are stored."""
