"""What accounts, requests, imports and the store say of themselves: sentences for `refusals` to know again."""

from __future__ import annotations

from typing import Final

from kirotrio.web.console.languages import N_

AS_THEY_STAND: Final = (
    N_("The sign-in service answered without an access token"),
    N_("kirotrio is stopping"),
    N_("another gateway does not answer at present; look again in a moment"),
    N_("the other gateways cannot be asked while the database is away"),
    N_("the database does not answer as it should; try again in a moment"),
    N_("the upstream's answer could not be read"),
    N_("an error inside the gateway; its log has the details"),
    N_("The upstream ended its answer without any text, thinking or tool call."),
    N_("A part of the upstream's text could not be read, so the answer would not be whole."),
    N_("There is no account. Add one with `kirotrio login` or `kirotrio accounts import`."),
    N_("this key may not use that account"),
    N_("no account is this key's"),
    N_("was asked and could not answer"),
    N_("ready, but was not asked"),
    N_("Kiro's answer about the account's usage has no figures; check `upstream.flavour`"),
    N_("Kiro's answer about the account's usage is not readable as JSON"),
    N_("Kiro's list of models has no `models`; check `upstream.flavour` and `upstream.url`"),
    N_("sign in again in the Kiro IDE"),
    N_("run `kiro-cli login`"),
    N_("sign in again with the program that wrote this file"),
    N_("sign in again and put the new refresh token into accounts.refresh_token"),
    N_("sign in again and put the new refresh token behind the gateway key"),
    N_("make a new key in the Kiro portal and put it into accounts.api_key"),
    N_("the refresh token behind the gateway key"),
    N_("not checked"),
    N_("kept with its new tokens; whose it is was not asked any more"),
    N_("it has taken these tokens, which are newer"),
    N_("it is an account already that is not yours here, so it was switched off (an operator can give you that one)"),
    N_("the same person's; it goes on with the tokens of the store that it follows"),
    N_("interrupted; import again"),
    N_("no refresh token is there; sign in again"),
    N_("it has to be text"),
    N_("it has to be true or false"),
    N_("it is no key of Kiro's, which begins with ksk_"),
    N_("a Builder ID or Identity Center sign-in needs clientId and clientSecret"),
    N_("a region has to be a name like us-east-1"),
    N_("Kiro does not accept this key; make a new one in the Kiro portal"),
    N_("sign in again with `kirotrio login`"),
    N_("it was refreshed, and Kiro refuses even the new token"),
    N_("it no longer follows another program's store"),
    N_("only a file of the Kiro IDE's form, with one account that is not nested, can be followed"),
    N_("no sign-in of the Kiro IDE is there; sign in with it, or with `kirotrio login`"),
    N_("no database of kiro-cli or Amazon Q is there; run `kiro-cli login`, or `kirotrio login`"),
    N_("standard input cannot be followed; leave --follow out"),
    N_(
        "nobody is signed in there, or the token lies in the system's keychain, where it cannot be imported "
        "from; sign in with `kirotrio login`"
    ),
    N_("the server disconnected without sending a response"),
    N_("the server disconnected in the middle of a response's head"),
    N_("the server disconnected in the middle of a response's body"),
    N_("what the server sent is no HTTP/1.1"),
    N_("the response's content-length is no number"),
    N_("the response has two lengths"),
    N_("the response has a transfer encoding that was not asked for"),
    N_("the response's chunks are not what they should be"),
    N_("the response's trailer is not what it should be"),
)
"""Sentences and clauses without a value."""

WITH_VALUES: Final = (
    N_("Kiro has suspended {who}. Only its owner can have it unlocked, through the support page that Kiro names."),
    N_("Kiro has suspended {who}. Only its owner can have it unlocked, through Kiro's support."),
    N_("Kiro does not offer this model to {who} at present. Choose one of `GET /v1/models`."),
    N_(
        "Kiro refused the signature of a thinking block in the history: it belongs to another account, model "
        "or beginning of the conversation. Leave the thinking blocks of earlier answers out."
    ),
    N_("There are more images in the request than Kiro takes. Send fewer, or leave those of earlier turns out."),
    N_(
        "Kiro refused the request as malformed. Not sent again: the same request would be refused again. "
        "`kirotrio lint` names what Kiro rejects in a body."
    ),
    N_(
        "Kiro refused the format of a tool use. Not sent again: the same request would be refused again. "
        "`kirotrio lint` names what Kiro rejects in a body."
    ),
    N_(
        "Kiro refused the request ({status}). Not sent again: the same request would be refused again. "
        "`kirotrio lint` names what Kiro rejects in a body."
    ),
    N_("Kiro cannot use the encryption key of the organisation of {who}. Its administrator has to repair the key."),
    N_(
        "Kiro does not accept the profile of {who}. Set `accounts.profile_arn` to the subscription's own, or "
        "leave it empty to have it looked up."
    ),
    N_("{who} has met a limit that ends before the plan's next reset. Wait until then."),
    N_(
        "The subscription of {who} is used up until its next reset. Wait for the reset, or allow overages or "
        "choose a larger plan in Kiro's account settings."
    ),
    N_("Kiro has no capacity for this model at the moment. Try again shortly, or choose another model."),
    N_(
        "Kiro limits how often {who} may ask while it looks into unusual activity. Pause, and do not retry in"
        " a loop: that leads to a suspension."
    ),
    N_("{who} uses its credits faster than Kiro allows. Wait a few minutes."),
    N_("Kiro says that {who} asks too often. Wait a moment."),
    N_("Kiro does not let {who} make this call. Check its plan and the setting `upstream.flavour`."),
    N_(
        "The sign-in of {who} has ended: Kiro no longer takes its refresh token. Sign in again where this "
        "sign-in is kept: with `kirotrio login --again NAME`, in the Kiro IDE, or with `kiro-cli login`; "
        "`kirotrio doctor` says where that is."
    ),
    N_("The sign-in of {who} has not been confirmed in the browser yet."),
    N_(
        "Kiro refuses the access token of {who}. Sign in again where this sign-in is kept: with `kirotrio "
        "login --again NAME`, in the Kiro IDE, or with `kiro-cli login`; `kirotrio doctor` says where that "
        "is."
    ),
    N_(
        "Kiro does not know this call at the address that was used ({status}). Check `upstream.flavour`, "
        "`upstream.region` and `upstream.url`."
    ),
    N_("The proxy demands a sign-in. Put user and password into `upstream.proxy_url`."),
    N_("Kiro refused the request because of its size. Send less: fewer or smaller images, a shorter history."),
    N_("Kiro is overloaded ({status}). Try again shortly."),
    N_("Kiro did not answer the server in front of it in time ({status})."),
    N_("Kiro failed ({status}). Try again."),
    N_("Kiro refused the call ({status}). Check `upstream.flavour`, `upstream.region` and `upstream.url`."),
    N_(
        "Kiro gave an answer that is none ({status}). If a proxy or a sign-in page stands between, let this "
        "gateway through; otherwise check `upstream.url`."
    ),
    N_("Kiro broke its answer off ({status}). Try again."),
    N_("Kiro refuses the key in {where}: {remedy}"),
    N_(
        "Kiro refuses even new tokens of the account {name}: it may be suspended, or its plan may not allow "
        "this. Look at it in the Kiro portal, or {remedy}."
    ),
    N_("The token of the account {name} is used up and cannot be refreshed now: {problem}"),
    N_("The sign-in of {who} is over: {problem}. To go on, {remedy}."),
    N_("The sign-in of {who} ({where}) is over: {problem}. To go on, {remedy}."),
    N_(
        "The access token in {where} is used up, and it is not refreshed, since the new one could not be kept"
        " there and whoever else uses this sign-in would be signed out: {problem}. Or {remedy}."
    ),
    N_("No sign-in is in {where} any more: {remedy}"),
    N_("The account {name} holds no token; {remedy}"),
    N_("Another program keeps changing the sign-in in {where}; try again when it is done"),
    N_("{where} cannot be used: {problem}"),
    N_("run `kirotrio login --again {name}`"),
    N_("the registration of the client has expired or is unknown ({status})"),
    N_("the refresh token is no longer accepted ({status})"),
    N_("the refresh token is refused ({status})"),
    N_("The sign-in service does not take our refresh call ({status})"),
    N_("The sign-in service cannot refresh the token at present ({status})"),
    N_("The sign-in service did not answer within {seconds} seconds"),
    N_("the sign-in service did not answer within {seconds} seconds"),
    N_(
        "The sign-in service refuses calls from this network ({status}); the sign-in itself is not lost. Use "
        "another network, or a proxy (upstream.proxy_url)."
    ),
    N_("The sign-in service cannot give {what} at present ({status})"),
    N_("The profile of this account could not be looked up ({problem})"),
    N_("Kiro did not tell what the account is worth within {seconds} seconds (deadlines.lookup)"),
    N_("{host} did not answer within {seconds} seconds"),
    N_("could not connect to {host} in time; check the network and the proxy"),
    N_("could not connect to {host}: {problem}"),
    N_("the connection to {host} broke: {problem}"),
    N_("The upstream gave its answer up: {problem}"),
    N_("The upstream says that this model is not available for now: {problem}"),
    N_("the answer was not finished within {seconds} seconds"),
    N_("the upstream fell silent for {seconds} seconds in the middle of its answer"),
    N_("the upstream sent nothing within {seconds} seconds"),
    N_("the upstream answered with {kind} instead of an event stream"),
    N_(
        "the answer is larger than the {most} bytes that the buffered mode holds (relay.spool); ask for a "
        "shorter one, or use the live mode"
    ),
    N_("prompt is too long: {count} tokens > {most} maximum"),
    N_("model {value} is not available to this account; it has: {those}"),
    N_("Model {value} is not available to this account; it has: {those}. {listed}."),
    N_("Model {value} is not available to any account; there are: {those}. {listed}."),
    N_("This account cannot answer at present. {listed}."),
    N_("No account can answer at present. {listed}."),
    N_("This request could not be answered, but an account is there that was not asked: ask again. {listed}."),
    N_("switched off (run `kirotrio accounts enable {name}`)"),
    N_("its plan does not offer {value}"),
    N_("suspended (have it unlocked, then run `kirotrio accounts enable {name}`)"),
    N_("signed out (run `kirotrio login --again {name}`)"),
    N_("used up until {until}"),
    N_("used up for now, until {until}"),
    N_("used too fast, paused until {until}"),
    N_("asked too often, paused until {until}"),
    N_("does not have {value} at present, asked again from {until}"),
    N_("not admitted, asked again from {until} ({problem})"),
    N_("paused until {until} ({problem})"),
    N_("the same sign-in as {where}"),
    N_("it does not serve at present; run `kirotrio login --again {name}`"),
    N_(
        "the refresh token has only {count} characters, a whole one has {least} or more; copy the whole of it"
        " or sign in again"
    ),
    N_("it is there and {value} is not: a Builder ID or Identity Center sign-in needs both"),
    N_("it has to be printable text of at most {most} characters"),
    N_("it has to be a whole number from 0 to {most}"),
    N_("the {value} was cut or hidden; copy the whole of it or sign in again"),
    N_("the {value} has characters that none has; copy the whole of it once more"),
    N_(
        "{where}: other users of this machine can read the key to your sign-ins; take that away with `chmod 600 {path}`"
    ),
    N_("{where}: holds a line that is no key; put back the file as it was made, from a copy"),
    N_(
        "{where}: the key file cannot be read ({problem}); make it usable by this user, or name another "
        "with store.key_file"
    ),
    N_(
        "{where}: the key file cannot be written ({problem}); make it usable by this user, or name another "
        "with store.key_file"
    ),
    N_("{where} does not keep what it is given; or keep the key in a file with store.key_source = file"),
    N_(
        "{where} did not answer within {seconds} seconds; unlock it and try again, or keep the key in a file "
        "with store.key_source = file"
    ),
    N_(
        "{where} cannot be used ({problem}); unlock it and try again, or keep the key in a file with "
        "store.key_source = file"
    ),
    N_("the entry {value} of {where} is damaged; put it back from a copy"),
    N_("not checked: {problem}"),
    N_("it cannot be read: {problem}"),
    N_("it cannot be read: {problem}; name a file, `ide`, `kiro-cli` or `-`"),
    N_("it cannot be read as a database of kiro-cli: {problem}"),
    N_("no sign-in was found; sign in with `kirotrio login`, or name a file to import. Looked at: {places}"),
    N_(
        "a sign-in is there, but its token lies in the system's keychain, where it cannot be imported from; "
        "sign in once more with `{value}`"
    ),
    N_("its mark ({value}) is cleared"),
    N_("no data service is known in {value}; the profile's region is used, else that of the settings"),
    N_("the response's head has more than {most} bytes"),
    N_("the response's trailer has more than {most} bytes"),
    N_("the server answered {status}, which nothing was asked for"),
)
"""`{who}`, `{where}`, `{problem}`, `{remedy}` and `{listed}` may hold what has a sentence of its own."""
