"""What a sign-in says of its failure, for a reader who sits at a page and not at a terminal. Pure."""

from __future__ import annotations

from typing import Final

_INSTEAD: Final = (
    ("un `kirotrio login` once more to have a new code", "egin once more to have a new code"),
    ("un `kirotrio login` once more", "egin once more"),
    (
        "; --device is the way where the browser runs on another machine",
        "; where the browser runs on another machine, paste the address that it ends at",
    ),
    ("(--proxy, or the setting upstream.proxy_url)", "(the setting upstream.proxy_url)"),
    ("add --domain with what stands", "give what stands"),
    ("run `kirotrio login builder-id`, or name", "choose AWS Builder ID, or name"),
    (", or use --device", ", or sign in with a code"),
    ("Use --device", "Sign in with a code"),
    ("; sign in without --again to add it", "; sign in without it to add one"),
)


def for_page(message: str) -> str:
    """`message` with what is to be done said without a command of the terminal, where that is known."""
    for said, instead in _INSTEAD:
        if said.startswith("un "):
            message = message.replace(f"R{said}", f"B{instead}").replace(f"r{said}", f"b{instead}")
        else:
            message = message.replace(said, instead)
    return message
