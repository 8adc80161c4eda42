"""One module for each format of documents: bytes in, a `Draft` filled. Loaded in the worker process alone."""
