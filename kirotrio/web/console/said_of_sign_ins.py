"""What is said of sign-ins, their files and proxies, and of the store when it is opened."""

from __future__ import annotations

from typing import Final

from kirotrio.web.console.languages import N_

AS_THEY_STAND: Final = (
    N_('the refresh token was cut (it contains "..."); copy the whole of it or sign in again'),
    N_("it is not text in UTF-8; JSON was expected"),
    N_(
        "this is a client registration alone; import the file with the tokens that lies beside it "
        "(kiro-auth-token.json)"
    ),
    N_("no account is in it: none of its objects has a refreshToken or apiKey"),
    N_("neither refreshToken nor apiKey is in it"),
    N_("an account is a JSON object"),
    N_("it is not a hash"),
    N_(
        "the file that it names is not there beside it, and the client's registration is in it; import "
        "kiro-auth-token.json from its own folder, or add clientId and clientSecret"
    ),
    N_(
        "it names a file that is not at hand here, and the client's registration is in it; import "
        "kiro-auth-token.json from its own folder, or add clientId and clientSecret"
    ),
    N_(
        "The sign-in service wants an address opened that is no plain https address, so it is not shown; "
        "nothing was kept. Check who answers there (the settings upstream.auth_url and upstream.proxy_url), "
        "then begin once more."
    ),
    N_(
        "The sign-in service gives a code that cannot be shown or typed; nothing was kept. Check who answers "
        "there (the settings upstream.auth_url and upstream.proxy_url), then begin once more."
    ),
    N_("an address has to be of plain characters"),
    N_("A company's sign-in is found by its mail domain: give what stands behind the @ (example.com)"),
    N_(
        "The sign-in worked, but Kiro has no profile for it: the company's administrator has to give this "
        "person a Kiro subscription. Nothing was kept."
    ),
    N_(
        "Nobody finished the sign-in in the browser in time. Begin once more; where the browser runs on "
        "another machine, paste the address that it ends at."
    ),
    N_("A code for another device is for one provider: add --provider google or github"),
    N_("The sign-in service answered with an access token that no header can carry"),
    N_("Kiro's portal was not asked: there is no spelling of who signed in"),
    N_("The answer of Kiro's portal about the account's usage has no figures"),
    N_("The answer of Kiro's portal about the user is no map"),
    N_("The access token has characters that the portal's cookie cannot carry"),
    N_(
        "not a usable proxy address; it has the form http://host:port, https://host:port or "
        "socks5://user:password@host:port (user and password percent-encoded: @ is %40, : is %3A, / is %2F, "
        "% is %25)"
    ),
    N_("user and password have to be percent-encoded (@ is %40, : is %3A, / is %2F, % is %25)"),
    N_("the user name of an HTTP proxy cannot hold a colon (%3A)"),
    N_("it failed by itself"),
    N_("its rules do not allow it"),
    N_("the network is out of its reach"),
    N_("the host is out of its reach, or it does not know the name"),
    N_("the connection was refused"),
    N_("the connection took too long"),
    N_("it makes no connections of this kind"),
    N_("it does not take addresses of this kind"),
    N_("it belongs to another program: its tables are not those of kirotrio"),
    N_("put a backup from before in its place with `kirotrio restore FILE`, which keeps it as a file"),
    N_("name an empty database in store.url and put a backup from before into that one with `kirotrio restore FILE`"),
    N_("rows in it refer to others that are missing; restore a backup"),
    N_(
        "store.url is no address of a database; one looks like postgresql://user:password@host:5432/name, "
        "where special characters in the password are percent-encoded"
    ),
    N_(
        "this system has no keyring that keeps secrets; install one, or keep the key in a file with "
        "store.key_source = file"
    ),
    N_("you may not bring this account any more, so it was not kept"),
    N_("this gateway does not run; begin once more in a moment"),
    N_("the proxy's user and password have to be text"),
    N_("it is not an address"),
    N_(
        "this value cannot be used; it must be an address like http://host:port, https://host:port or "
        "socks5://user:password@host:port"
    ),
)
"""Sentences and clauses without a value."""

WITH_VALUES: Final = (
    N_("{where}: a JSON object was expected, with refreshToken or apiKey in it"),
    N_("{where}: {name} has to be text"),
    N_('{where}: the refresh token was cut (it contains "..."); copy the whole of it or sign in again'),
    N_("{where}: not readable as JSON; sign in again to have it written anew"),
    N_("{where}: it says api_key, but no apiKey is there"),
    N_("{where}: a sign-in through an external provider needs tokenEndpoint and clientId"),
    N_("{where}: the sign-in region is not a name like us-east-1"),
    N_(
        "{where}: tokens are not sent to the token endpoint named there; it has to be an https address below "
        "one of {those}"
    ),
    N_("{where}: the token endpoint is not an address; it has to be an https address below one of {those}"),
    N_(
        "No Kiro account was found. Run `kirotrio login`, sign in with the Kiro IDE or with `kiro-cli "
        "login`, or set accounts.refresh_token, accounts.api_key or accounts.creds_file (none is set). "
        "Looked at: {those}"
    ),
    N_(
        "{setting} names {path}, and no sign-in is there: correct the path, or sign in with the program that "
        "keeps its sign-in there"
    ),
    N_(
        "{setting} names it, and no sign-in is there; correct the path, or sign in with the program that "
        "keeps its sign-in there"
    ),
    N_("nested more than {most} deep; nothing deeper is looked at"),
    N_("and {count} more lines are not JSON"),
    N_("not JSON (column {column}); each line has to be one JSON object"),
    N_(
        "{path} is not there beside it, and the client's registration is in it; import kiro-auth-token.json "
        "from its own folder, or add clientId and clientSecret"
    ),
    N_("the client registration {path} cannot be read: {problem}"),
    N_("this sign-in is the account {name} already, not {meant} ({who})"),
    N_("this sign-in is not that of the account {name} ({value}, not {other})"),
    N_(
        "The {what} of this company's sign-in lies at a host that kirotrio does not trust with it; it works "
        "with Microsoft Entra alone. An API key (`kirotrio login api-key`) is another way in."
    ),
    N_(
        "Kiro refuses this API key ({status}): copy it once more from the Kiro portal, or make a new one "
        "there. Keys need a paid plan."
    ),
    N_(
        "The sign-in service does not give {what} ({status}). Look at what was asked for (kind, region, "
        "address), then begin once more."
    ),
    N_(
        "The sign-in service answered without {what}; nothing was kept. Begin once more; if that changes "
        "nothing, another kind of sign-in may work."
    ),
    N_(
        "The sign-in service refuses calls from this network ({status}). Use another network, or a proxy "
        "(the setting upstream.proxy_url)."
    ),
    N_("The sign-in took too long or was used already ({status}). Begin once more."),
    N_(
        "Kiro knows no sign-in for {domain}. Ask the company's administrator which one it is: an Identity "
        "Center (`kirotrio login identity-center --start-url …`), or another mail domain."
    ),
    N_(
        "All ports to which the browser may come back are taken by other programs ({those}). End one of "
        "them, or sign in with a code."
    ),
    N_("The browser came back without a sign-in ({problem}). Begin once more."),
    N_("kirotrio cannot listen on {address} for the browser ({problem}). Sign in with a code."),
    N_("{where}: clientIdHash is not a hash"),
    N_("{where}: the client registration {path} is missing beside it"),
    N_("the account {name} follows a place of a kind that is not known here, {kind}"),
    N_("the account {name} follows a place that cannot be read; add it anew"),
    N_(
        "accounts.{name} is set and accounts.{missing} is not: a Builder ID or Identity Center sign-in needs "
        "both, a social one neither"
    ),
    N_(
        "A new token could not be written to {path} ({problem}), so it is not used. Make that place "
        "writable; it is tried again with the next request."
    ),
    N_("A new token was not written to {path} in time; it is tried again"),
    N_("{where} cannot be read: {problem}"),
    N_("Kiro's portal sent {count} bytes, more than any answer of its has"),
    N_("The answer of Kiro's portal is not readable as CBOR ({problem})"),
    N_("status {status}"),
    N_("{value}: not an address that can be called; it begins with http:// or https://"),
    N_("{value} is none of {those}"),
    N_("{value} is not an address of a server; it has the form http://host:port or https://host"),
    N_("{value} is not an address ({problem}); it has the form http://host:port or https://host"),
    N_("SOCKS5 allows {most} bytes for the user name and as many for the password"),
    N_("the proxy {place} did not take a connection within {seconds} seconds"),
    N_("the proxy {place} did not connect to {host} within {seconds} seconds"),
    N_("the proxy {place} could not be connected to: {problem}"),
    N_("the proxy {place} could not be connected to"),
    N_("the proxy {place} broke the connection when it was asked for {host}"),
    N_("the proxy {place} has a certificate that is not trusted: {problem}; upstream.certificates says by whom"),
    N_("the proxy {place} does not speak TLS as an HTTPS proxy does: {problem}"),
    N_("the proxy {place} does not answer as an HTTP proxy does"),
    N_("the proxy {place} did not connect to {host}: it answered {status}"),
    N_("the proxy {place} did not connect to {host}: {problem}"),
    N_("the proxy {place} sent more than its own answer before anything was asked of the target"),
    N_("the proxy {place} broke the connection in the middle of the SOCKS5 greeting"),
    N_("the proxy {place} does not answer as a SOCKS5 proxy does: check {setting}"),
    N_(
        "the proxy {place} wants a sign-in of the kind {kind}: only user and password (Basic) can be given; "
        "a local proxy that does the rest may stand between"
    ),
    N_("the proxy {place} demands a sign-in: put user and password, percent-encoded, into {setting}"),
    N_("the proxy {place} refuses the user and password: correct them in {setting}"),
    N_("it gives the reason {value}"),
    N_("the data folder {path} is no folder; name another one with data.dir (KIROTRIO_DATA_DIR)"),
    N_("the data folder {path} is not writable; make it so, or name another one with data.dir (KIROTRIO_DATA_DIR)"),
    N_("the data folder {path} cannot be made ({problem}); name another one with data.dir (KIROTRIO_DATA_DIR)"),
    N_(
        "it has revision {value}, which kirotrio {version} does not know (the newest that it knows is "
        "{newest}): use the newer kirotrio that it comes from, or {remedy}"
    ),
    N_(
        "it has to be brought to a newer shape, and could not be copied to {path} beforehand ({problem}); "
        "make room there"
    ),
    N_(
        "the file {path} is damaged or no database ({problem}); `kirotrio restore FILE` puts a backup in its "
        "place, and moving it away begins anew"
    ),
    N_("there is no sign-in by {name} here; the settings of sign_in name those that there are"),
)
