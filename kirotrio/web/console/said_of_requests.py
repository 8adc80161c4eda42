"""What is said of requests that are refused or fail: keys, limits, models, files, the upstream's answers."""

from __future__ import annotations

from typing import Final

from kirotrio.web.console.languages import N_

AS_THEY_STAND: Final = (
    N_("no key was sent; send the gateway's key as `x-api-key` or as `Authorization: Bearer …`"),
    N_(
        "this key is not known to the gateway; send the one that `kirotrio keys show` prints, the one set in "
        "server.api_key, or one made by `kirotrio keys create`"
    ),
    N_("this key may not be used from here"),
    N_("this key of the playground was not made here; load the playground's page again"),
    N_("this key of the playground has expired; ask for another one on its page"),
    N_("the sign-in that this key of the playground was for has ended; sign in again"),
    N_("a second factor is needed first; set it up on your own page in the console"),
    N_("the gateway is under maintenance; try again later"),
    N_("the gateway is in self-use: at present members' keys are not let in"),
    N_("the gateway's mode cannot be read; its operator sets it with `kirotrio mode`"),
    N_(
        "there is no account that this key may use: those there are belong to users who keep them private; "
        "add one with `kirotrio login`, or have one lent"
    ),
    N_("a request that brings its own sign-in along cannot name an account as well"),
    N_("prompt is too long"),
    N_("The upstream's answer ended before it was complete."),
    N_("A frame of the upstream's answer is damaged: its prelude does not match its CRC."),
    N_("A frame of the upstream's answer is damaged: its content does not match its CRC."),
    N_("The answer of Kiro's web search could not be read."),
    N_("Kiro's web search failed and does not say why."),
    N_("it holds no text"),
    N_("it is empty"),
    N_("it is a file of an old Office format; save it as .docx, .xlsx or .pptx"),
    N_("the file is protected by a password; send it without one"),
    N_("it is not an Office file, or a damaged one"),
    N_("it is not a Word, Excel or PowerPoint file (.docx, .xlsx, .pptx)"),
    N_("it is not a PDF file"),
    N_("the PDF is damaged: none of its pages could be read"),
    N_("the PDF has no text layer (its pages are pictures); send the pages as images"),
    N_("the PDF is protected by a password; send it without one"),
    N_("a part of the PDF unpacks to more than may be read"),
    N_("reading it takes too long"),
    N_("must be valid base64"),
    N_("only addresses that begin with http:// or https:// are fetched"),
    N_("the address is not a valid URL"),
    N_("an address with a user name or password is not fetched"),
    N_("could not be connected to in time"),
    N_("there is no host of this name"),
    N_("a person has ended this answer from the gateway's live view"),
    N_("the gateway is stopping; ask again in a moment"),
    N_("the gateway cannot reach the others for a moment; ask again"),
    N_("this gateway counts as gone again and again; are the clocks of its machine right?"),
    N_("the database is away, so the other gateways' answers are not known here"),
    N_("the gateway's processes cannot reach each other for a moment; ask again"),
    N_("image"),
    N_("document"),
    N_(
        "the metrics are of the whole team: ask with a key that belongs to no user, as `kirotrio keys create` makes one"
    ),
)
"""Sentences and clauses without a value."""

WITH_VALUES: Final = (
    N_("this key has used its {limit} {counted} of this {window}; the next one begins at {until}"),
    N_("this key has {count} requests running, which is its limit; ask again when one has ended"),
    N_("this key has made {count} requests within a minute, which is its limit (server.rate_per_minute)"),
    N_("the key {key}… was removed; ask for another one"),
    N_("the key {key}… was revoked; ask for another one"),
    N_("the key {key}… has expired; ask for another one"),
    N_("the key {key}… belongs to a user who may not use this gateway now"),
    N_("this key is for the account {account} alone; send it without a refresh token of your own"),
    N_("this key may not be used from {address}"),
    N_("this key may not use {surface}; it may use {those}"),
    N_("this key may not use the model {value}; it may use {those}"),
    N_("this key may use {those} alone"),
    N_("the gateway is in self-use: at present members' keys are not let in ({message})"),
    N_("{count} requests wait for {who} already (accounts.max_queue). Ask again in {seconds} s."),
    N_("{who} begins {count} answers a minute at most (accounts.per_minute). Ask again in {seconds} s."),
    N_(
        "{who} answers {count} requests at one time (accounts.max_concurrent), and none of them ended in "
        "time. Ask again in {seconds} s."
    ),
    N_(
        "The account {name}, which this conversation is on, is paused until {until}, and no other account "
        "answers in its place. To go on with others all the same, run `kirotrio accounts disable {value}`. "
        "{problem}"
    ),
    N_("Model {value} is not available to this account. {listed}."),
    N_("Model {value} is not available to any account. {listed}."),
    N_("model {value} is not available to this account; models known here: {those}"),
    N_("prompt is too long: the model's maximum is {most} tokens"),
    N_("the list of models is not readable: {problem}"),
    N_(
        "the vocabulary {path} is damaged: its SHA-256 is not the expected one; install kirotrio again; "
        "until then tokens are estimated from the number of characters"
    ),
    N_(
        "the vocabulary {path} cannot be read ({problem}); install kirotrio again; until then tokens are "
        "estimated from the number of characters"
    ),
    N_("{host} sent an answer of more than {most} bytes"),
    N_(
        "a call to {host} could not be made: the sign-in's token, or a setting that goes into a header, has "
        "characters that no header may have; `kirotrio doctor` looks at it"
    ),
    N_(
        "its certificate is not trusted: {problem}. Look at the clock; where a proxy or a virus scanner "
        "opens TLS, add its root to the system's and set upstream.certificates to system"
    ),
    N_("The upstream's answer was cut in the middle of a frame: it ended after {count} bytes."),
    N_("The upstream's answer was cut in the middle of a frame: it ended after {count} of {most} bytes."),
    N_(
        "A frame of the upstream's answer has impossible lengths: {count} bytes in all, of these {headers} "
        "for headers; {least} to {most} can be."
    ),
    N_("A frame of the upstream's answer has unreadable headers: {problem}."),
    N_("Kiro's web search failed: {quoted}"),
    N_("models.alias: {value} runs in a circle; it has to end at a model"),
    N_("The upstream used the id of tool call {value} again after that call ended."),
    N_("The upstream renamed tool call {value} from {before} to {name} half-way."),
    N_("The upstream says that this model is not available for now: {problem} It recommends {name} in the meantime."),
    N_("the file unpacks to more than the {most} bytes, or the {parts} parts, that may be read"),
    N_("the PDF is damaged ({problem})"),
    N_(
        "documents of type {kind} cannot be read; PDF, Word (.docx), Excel (.xlsx), PowerPoint (.pptx), HTML "
        "and plain text can"
    ),
    N_("it is not text in {kind}; send it in UTF-8"),
    N_("the process that reads documents could not be started ({problem})"),
    N_("it could not be read within {seconds} seconds"),
    N_("the process that read it ended without an answer (exit code {status}); the file is damaged or too large"),
    N_("the files that the request names were not fetched and read within {seconds} seconds (deadlines.prepare)"),
    N_("the files of this request come to more than {most} bytes together (server.max_body)"),
    N_("what {host} sends is not a PNG, JPEG, GIF or WebP image; those can be used"),
    N_("the {file} could not be fetched: {problem}"),
    N_("the document could not be read: {problem}"),
    N_("the schema was not worked through within {seconds} seconds (deadlines.prepare)"),
    N_("The answer is whole, but {problem}. The buffered mode can have such an answer repaired (relay.repair)."),
    N_("The answer is whole, but {problem}. It was asked for twice."),
    N_("The answer is whole, but {problem}. With relay.repair it would be asked for once more."),
    N_("its text is not the JSON that was asked for ({problem})"),
    N_("the address has more than {most} characters"),
    N_("{host} is not among the sites that may be fetched from"),
    N_("redirected more than {most} times in a row"),
    N_("{host} did not send it within {seconds} seconds"),
    N_("{value} is not a port"),
    N_("{host} did not answer in proper HTTP"),
    N_("{host} answered {status}"),
    N_("{host} sends it compressed, though it was asked for as it is"),
    N_("{host} sends {kind}, which cannot be used"),
    N_("{host} sends more than {most} bytes, the most that is fetched"),
    N_("could not be connected to ({problem})"),
    N_("its address could not be looked up ({problem})"),
    N_(
        "{host} is not an address of the public internet, from which alone is fetched (fetch.allow_networks "
        "names exceptions)"
    ),
    N_(
        "this gateway is not open to {address}; its operator decides which addresses are let in "
        "(access.allow, access.deny)"
    ),
    N_("Response with id {value} not found."),
    N_("Item with id {value} not found."),
    N_("Previous response with id {value} not found."),
    N_("the body is larger than the {most} bytes that are accepted (server.max_body)"),
    N_("more than {most} bytes of requests are being read (server.max_inflight); try again in a moment"),
    N_("the body did not arrive within {seconds} seconds (deadlines.prepare)"),
    N_(
        "the account {name} cannot answer while {setting} is set: the sign-in named there answers alone; "
        "take it out and start the gateway again"
    ),
    N_("there is no account named {name}; `kirotrio accounts` lists those there are"),
)
