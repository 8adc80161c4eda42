"""What errors from below say in the console's forms, for readers of another language than English: sentences as they
stand, and sentences with values in them.

An error carries its whole sentence, which is also that of the command line and of the log. So a sentence with values is
known again by its pattern, and said in the other language with the same values.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from kirotrio.web.console import below, said_of_requests, said_of_sign_ins
from kirotrio.web.console.languages import ENGLISH, N_, Speech
from kirotrio.web.console.quoting import marked, unmarked, without_quote
from kirotrio.web.console.words import USER_STATES

_NAME: Final = re.compile(r"[\w-]+")
_PLACE: Final = re.compile(r"[\w.\[\]/-]+")
"""What stands ahead of a problem: a field of a form or of a body, a setting, a host."""
_LONGEST: Final = 2000
"""Characters of a message that is compared with patterns: one with more holds a value that somebody pasted."""

WINDOWS: Final = {"minute": N_("Minute"), "day": N_("Day"), "month": N_("Month")}
COUNTS: Final = {"requests": N_("Requests"), "tokens": N_("Tokens"), "credits": N_("Credits")}

FIELDS: Final[Mapping[str, str]] = {
    "name": N_("Name"),
    "title": N_("Title"),
    "body": N_("Text"),
    "severity": N_("Severity"),
    "from_at": N_("From"),
    "until_at": N_("Until"),
    "role": N_("Role"),
    "email": N_("E-mail"),
    "display": N_("Name that is shown"),
    "expires": N_("Last day (UTC)"),
    "expires_at": N_("Last day (UTC)"),
    "max_concurrent": N_("Requests at one time"),
    "models": N_("Only these models"),
    "surfaces": N_("Only these APIs"),
    "networks": N_("Only from these networks"),
    "limits": N_("Limits"),
    "account": N_("Only this account"),
    "priority": N_("Order"),
    "owner": N_("Owner"),
    "whose": N_("Whose it will be"),
    "language": N_("Language"),
    "theme": N_("Colours"),
    "message": N_("Message"),
    "mode": N_("Mode"),
    "code": N_("Code"),
    "start_url": N_("Start URL of the access portal"),
    "region": N_("Region of the sign-in"),
    "domain": N_("What follows the @ in the company's e-mail addresses"),
    "api_key": N_("API key"),
    "way": N_("How do you sign in to Kiro?"),
}
"""What the pages call a form's fields. Those that they do not name keep the name by which they are sent."""

AS_THEY_STAND: Final = (
    N_("a secret in the database is damaged, or of a newer program; restore a backup or sign in again"),
    N_("this code is not right, or was used already"),
    N_("this sign-in is over; begin it anew"),
    N_("this user may not sign in; ask the operator"),
    N_("nobody here is known by that sign-in; ask the operator for an invitation"),
    N_("who this is there cannot be kept here"),
    N_("that sign-in does not confirm who you are here"),
    N_("users.registration is closed, so that nobody can accept an invitation"),
    N_("nobody can ask to become a user here; ask the operator for an invitation"),
    N_("nobody can become a user here"),
    N_("too many wait for approval already; try again later"),
    N_("too many sign-ins at one time; try again in a moment"),
    N_("too many sign in at this moment; try again"),
    N_("operators have to have a second factor here (users.require_second_factor)"),
    N_("this cannot be shown as a name; up to 128 letters and signs on one line can"),
    N_("this is not the name of a language; one looks like en or zh-Hans"),
    N_("that sign-in belongs to another user here"),
    N_("you could not sign in any more without it; set a password first"),
    N_("this is no e-mail address; one looks like anna@example.org"),
    N_("role: must be operator, member or viewer"),
    N_("do: is none of the things that this form can do"),
    N_("nobody has signed in"),
    N_("the browser does not tell where this form comes from (Origin); use one that does"),
    N_("this form was sent by another site, or the proxy in front of the gateway does not pass the Host field on"),
    N_("this form comes from a page that hides where it comes from"),
    N_("form: does not decode; it is not what a browser sends"),
    N_("title: it has characters in it that cannot be shown; write one line of plain text"),
    N_("body: it has characters in it that cannot be shown"),
    N_("the message has characters in it that cannot be shown; write plain text"),
    N_("mode: must be open, self-use or maintenance"),
    N_("there is no store that the mode could be kept in"),
    N_("theme: must be light, dark or auto"),
    N_("there is no such key (any more)"),
    N_(
        "operators make the keys here, and say what these may do; those that are bound to an account of your own you "
        "make yourself"
    ),
    N_("there is no such user; a key belongs to the gateway or to one of its users"),
    N_("this gateway gives no keys"),
    N_("there is no such request; it may be too old to be kept, or not written yet"),
    N_("way: choose how to sign in"),
    N_("document: paste a document, or choose a file"),
    N_("file: is a database; `kirotrio accounts import FILE` reads it where it lies"),
    N_("name: may have up to 64 letters, digits, dots, dashes and underscores"),
    N_("name: is the name of another account"),
    N_("The API key was cut (it contains dots): copy the whole of it"),
    N_("The API key has a blank or a line break in it: copy the whole of it, and nothing else."),
    N_("The API key has characters in it that no key has: copy it once more from the Kiro portal."),
    N_("The API key is too short: copy the whole of it from the Kiro portal."),
    N_("The API key is too long: copy it alone, and nothing that stands beside it."),
    N_(
        "An Identity Center sign-in needs the start URL: it has the form "
        "https://d-xxxxxxxxxx.awsapps.com/start; ask the company's administrator for it"
    ),
    N_(
        "The start URL cannot be used: it has the form https://d-xxxxxxxxxx.awsapps.com/start; ask the "
        "company's administrator for it"
    ),
    N_("This start URL is that of Builder IDs: choose AWS Builder ID, or name the company's own"),
    N_("The sign-in: the sign-in region is not a name like us-east-1"),
)
"""Found by `Speech` itself; they are listed so that the catalogue has them."""

WITH_VALUES: Final = (
    N_(
        "the key {key} to the secrets in the database is missing. It is not in {where}. Copy it from the "
        "machine where it was made, or restore a backup that holds it: `kirotrio restore FILE`. Without "
        "either, give those secrets up with `kirotrio store forget-secrets`, and sign in again."
    ),
    N_("the secret at {where} in the database was altered or moved; restore a backup, or sign in again"),
    N_("too many attempts have failed; try again in {seconds} seconds"),
    N_("there is a user named {name} already; choose another name"),
    N_("{name} is {state}, not {wanted}"),
    N_("this cannot be the name of a user: up to {most} letters, digits and the signs . _ - @ + can"),
    N_("this password is too short; it has to have {least} characters or more"),
    N_("this password is too long; it may have {most} characters"),
    N_("the user cannot be kept: {field} is longer than {most} characters"),
    N_("the user cannot be kept: {field} has characters in it that are no text"),
    N_("the invitation cannot be kept: {field} is longer than {most} characters"),
    N_("the invitation cannot be kept: {field} has characters in it that are no text"),
    N_("this identity cannot be kept: {field} is longer than {most} characters"),
    N_("this identity cannot be kept: {field} has characters in it that are no text"),
    N_("the key cannot be kept: {field} is longer than {most} characters"),
    N_("the key cannot be kept: {field} has characters in it that are no text"),
    N_("the key cannot be kept: {field} is larger than {most}"),
    N_("the account cannot be kept: {field} is longer than {most} characters"),
    N_("the account cannot be kept: {field} has characters in it that are no text"),
    N_("the account cannot be kept: {field} is larger than {most}"),
    N_("{kind} is no form; forms are sent as {one} or {other}"),
    N_("content-type: {kind} is no form; forms are sent as {one} or {other}"),
    N_("the form is larger than the {most} bytes that are accepted"),
    N_("must be a whole number from {least} to {most}"),
    N_("must be one of {choices}"),
    N_("it must be one of {choices}"),
    N_("it has {count} characters; {most} are allowed"),
    N_("it must be a time between the years 1970 and 9999"),
    N_("must be a moment like {example}"),
    N_("the message has {count} characters; {most} are allowed"),
    N_("{value} is not the name of an account"),
    N_("the key {name} was revoked; make another one"),
    N_("{limit} is there more than once; name one number for it"),
    N_(
        "{value} is no limit; one is WINDOW:WHAT=NUMBER, like day:requests=100: the window is minute, "
        "day or month, and requests, tokens and credits are counted"
    ),
    N_("{value}: the number behind = has to be 0 or more, and whole unless it is of credits"),
    N_("there is no user {name}; `kirotrio users list` shows those there are"),
    N_("{name} cannot be the name of an account: up to 64 letters, digits, dots, dashes and underscores can"),
    N_("there is an account named {name} already; choose another name"),
    N_("this sign-in is the account {name} already"),
    N_("there is no account {name} any more; sign in without it to add one"),
    N_("it has more than {most} MiB; import it in parts"),
    N_("there are more than {most} accounts in it; import it in parts"),
    N_("it is not JSON (line {line}, column {column}); JSON, or one JSON object on each line, was expected"),
    N_("there is no page {path}"),
    N_("a key is called by up to {most} characters that can be printed"),
    N_("has to be a whole number of 0 (any number) or more"),
    N_("is longer than the {most} characters that are taken here"),
    N_("must be a day like 2030-12-31; it is {value}"),
    N_("must be a number from {least} on, or empty; it is {value}"),
    N_("must be a whole number from {least} on, or empty; it is {value}"),
    N_("there is a key named {name} already; choose another name"),
    N_(
        "there is no account named {value} that this key may use; `kirotrio accounts` lists those there "
        "are, of which one that settings name (accounts.*) cannot be chosen: it answers every key"
    ),
    N_("there may be {most} at most"),
    N_("this moment is over; name one that is still to come"),
    N_("your keys are your own"),
    N_("{value} is no network; one is written like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"),
    N_("{value} is not one of {those}"),
    N_("{value} is not the name of a model"),
    *below.WITH_VALUES,
    *said_of_requests.WITH_VALUES,
    *said_of_sign_ins.WITH_VALUES,
)
"""`{field}` is a field's name; places of `_WORDS` have one of a few words, those of `_CLAUSES` may hold what has a
sentence of its own, `{host}` is a host's name or address; every other place is a value as it is."""

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "field": FIELDS,
    "state": USER_STATES,
    "wanted": USER_STATES,
    "counted": COUNTS,
    "window": WINDOWS,
    "file": {"image": N_("image"), "document": N_("document")},
}

_CLAUSES: Final = ("problem", "remedy", "status", "what", "where")
"""Places whose value may be a sentence or clause of ours."""
_ACCOUNT: Final = re.compile(r"[Tt]he account(?: '?([\w.-]+)'?)?")
_ACCOUNTS: Final = re.compile(r"; (?=[\w.@+-]+: |and \d+ more$)")
"""Between two accounts of a list: what is said of one may have semicolons in it."""
_MORE: Final = re.compile(r"and (\d+) more")
_LONGEST_LIST: Final = 20_000
_MOST_CLAUSES: Final = 6


def in_language(speech: Speech, message: str) -> str:
    """The message in the reader's language, in English where nothing has it. Never raises."""
    return unmarked(in_marked_language(speech, message))


def in_marked_language(speech: Speech, message: str) -> str:
    """The same, with `quoting` marks around what the upstream said and what has no translation."""
    message = unmarked(message)
    if speech.language == ENGLISH:
        own, quote = without_quote(message) if len(message) <= _LONGEST else (message, "")
        return f"{own} {marked(quote)}" if quote else own
    return _said(speech, message, unknown=marked)


def _said(speech: Speech, text: str, unknown: Callable[[str], str] = str) -> str:
    """`unknown` is what is done with a sentence of ours that has no translation."""
    if listed := _list(speech, text):
        return listed
    if len(text) > _LONGEST:
        return unknown(text)
    own, quote = without_quote(text)
    told = _own(speech, own)
    told = unknown(own) if told == own else told
    return f"{told} {marked(quote)}" if quote else told


def _own(speech: Speech, text: str) -> str:
    """One sentence of ours, with or without the field that it is about; else clauses of which each is known."""
    field, colon, rest = text.partition(": ")
    if text not in AS_THEY_STAND and colon and _PLACE.fullmatch(field) and (told := _sentence(speech, rest)) != rest:
        return of_field(speech, label(speech, field) or field, told)
    told = _sentence(speech, text)
    return _clauses(speech, text) if told == text else told


def of_field(speech: Speech, label: str, problem: str) -> str:
    return speech("{field}: {problem}", field=label, problem=problem)


def label(speech: Speech, field: str) -> str:
    """What the pages call the field that is sent by this name, "" where they do not name it."""
    if field in FIELDS:
        return speech(FIELDS[field])
    window, _, counted = field.removeprefix("limit-").partition("-")
    if field.startswith("limit-") and window in WINDOWS and counted in COUNTS:
        return f"{speech(WINDOWS[window])}, {speech(COUNTS[counted])}"
    return ""


def _sentence(speech: Speech, text: str) -> str:
    """As it stands; where that is not known, as the sentence whose full stop a list or a bracket has taken away."""
    if (told := _whole(speech, text)) != text or not text or text.endswith("."):
        return told
    sentence = f"{text}."
    return told.removesuffix("。") if (told := _whole(speech, sentence)) != sentence else text


def _whole(speech: Speech, text: str) -> str:
    told = speech(text)
    return told if told != text else _by_pattern(speech, text, _patterns(lists=False)) or text


def _list(speech: Speech, text: str) -> str:
    """What is said of several accounts, each with a sentence and a quotation of its own; "" where it is no list. Looked
    at before all else: another sentence's pattern would find its words in one of the list's."""
    if not text.endswith(".") or len(text) > _LONGEST_LIST:
        return ""
    return _by_pattern(speech, text, _patterns(lists=True))


def _by_pattern(speech: Speech, text: str, patterns: _Patterns) -> str:
    for sentence, pattern in patterns:
        if found := pattern.fullmatch(text):
            return speech(sentence, **{name: _told(speech, name, value) for name, value in found.groupdict().items()})
    return ""


def _clauses(speech: Speech, text: str) -> str:
    """Clauses that stand beside each other, the longest known ones first; unchanged unless each is known."""
    parts = text.split("; ")
    if not 1 < len(parts) <= _MOST_CLAUSES:
        return text
    told = [""] * len(parts)
    for first in reversed(range(len(parts))):
        for behind in range(len(parts), first, -1):
            clause = "; ".join(parts[first:behind])
            if clause == text or (behind < len(parts) and not told[behind]):
                continue
            if (one := _sentence(speech, clause)) != clause:
                told[first] = one if behind == len(parts) else _joined(speech, one, told[behind])
                break
    return told[0] or text


def _joined(speech: Speech, before: str, after: str) -> str:
    return speech(N_("{before}; {after}"), before=before, after=after)


def _told(speech: Speech, name: str, value: str) -> str:
    if name in _WORDS:
        return speech(_WORDS[name].get(value, value))
    if name in ("who", "where") and (whose := _ACCOUNT.fullmatch(value)):
        return speech(N_("the account {name}"), name=whose[1]) if whose[1] else speech(N_("the account"))
    if name == "listed":
        return functools.reduce(partial(_joined, speech), map(partial(_of_account, speech), _accounts(speech, value)))
    if name == "places":
        return functools.reduce(partial(_joined, speech), value.split("; "))
    return _said(speech, value) if name in _CLAUSES else value


def _accounts(speech: Speech, listed: str) -> list[str]:
    """A quotation may look like the beginning of another account: it goes on unless what follows is known."""
    found: list[str] = []
    for piece in _ACCOUNTS.split(listed):
        goes_on = bool(found) and bool(without_quote(found[-1])[1]) and not _MORE.fullmatch(piece)
        own = without_quote(piece.partition(": ")[2])[0]
        if goes_on and _own(speech, own) == own:
            found[-1] += f"; {piece}"
        else:
            found.append(piece)
    return found


def _of_account(speech: Speech, told: str) -> str:
    """What is said of one account of several: its name stays."""
    if more := _MORE.fullmatch(told):
        return speech(N_("and {count} more"), count=more[1])
    name, colon, clause = told.partition(": ")
    return of_field(speech, name, _said(speech, clause, unknown=marked)) if colon else told


_Patterns = tuple[tuple[str, re.Pattern[str]], ...]


@functools.cache
def _patterns(*, lists: bool) -> _Patterns:
    """Each sentence with what it looks like once its values are in it; those with the most words of their own first."""
    ordered = sorted(WITH_VALUES, key=lambda sentence: -len(re.sub(r"\{\w+\}", "", sentence)))
    chosen = (sentence for sentence in ordered if ("{listed}" in sentence) is lists)
    return tuple((sentence, re.compile(_pattern(sentence), re.DOTALL)) for sentence in chosen)


def _pattern(sentence: str) -> str:
    pieces = []
    for literal, name, _, _ in string.Formatter().parse(sentence):
        pieces.append(re.escape(literal))
        if name:
            pieces.append(f"(?P<{name}>{_place(name)})")
    return "".join(pieces)


def _place(name: str) -> str:
    if name == "field":
        return _NAME.pattern
    if name == "host":
        return r"\S+"
    return "|".join(map(re.escape, _WORDS[name])) if name in _WORDS else ".*?"
