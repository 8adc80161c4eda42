"""How the one-file executable is put together, beside `kirotrio.spec`."""
