"""Accounts that people bring from the console: sign-ins and imports that run while their person looks on."""
