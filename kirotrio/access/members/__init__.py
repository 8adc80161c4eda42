"""The parts of `people.People`: how somebody signs in, becomes a user, and is looked after."""
