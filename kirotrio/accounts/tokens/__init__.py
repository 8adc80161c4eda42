"""One sign-in's token: how long it is good, how it is refreshed, and whose turn that is."""
