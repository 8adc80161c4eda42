"""What an account is worth: its plan, what is left of it, and the models that it offers."""
