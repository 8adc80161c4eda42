"""Several processes that are one gateway: what they have to know together, and how they share a port."""
