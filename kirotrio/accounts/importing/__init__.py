"""Taking over accounts that other programs have: documents and stores are read, each sign-in is checked and kept."""
