"""Which account answers a request: the pool of all, who is free and well, and the loan of one of them."""
