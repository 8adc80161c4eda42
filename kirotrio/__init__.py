"""kirotrio: your own Kiro subscription behind the Anthropic and OpenAI APIs."""

__version__ = "0.1.0"
