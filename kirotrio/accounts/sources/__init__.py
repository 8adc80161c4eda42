"""Where credentials are found, and where new tokens go back to.

A *store* does blocking I/O and knows one place; a `Source` runs it in a worker thread.
"""
