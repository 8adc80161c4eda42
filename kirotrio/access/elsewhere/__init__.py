"""Sign-in elsewhere: at an OpenID provider, GitHub or LinuxDo. What is said to them, and what their answers are worth.

`providers.providers_of(settings)` has those that the settings name; `provider.Provider` is what each can do. The calls
themselves are handed in (`fetch.Fetch`).
"""
