"""How accounts come into the store, whoever asks for it: what the command line and the console have in common."""
