"""The benchmark of the gateway: an upstream of ready bytes, a floor to compare with, a load, and what measures them."""
