"""The tree of settings: names, units, defaults, bounds.

`[section] name` in TOML, `section.name` in messages and `KIROTRIO_SECTION_NAME` in the environment are one and
the same setting (CONTRACT, Settings). Durations are seconds, sizes are bytes. Secrets have no `repr`.
"""

from __future__ import annotations

from pathlib import Path

from attrs import field

from kirotrio.classes import frozen
from kirotrio.config.setting import setting
from kirotrio.config.team import AccessSettings, SignInSettings, UserSettings


@frozen
class ServerSettings:
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on; 0 takes a free one", least=0, most=65535)
    api_key: str = setting("", "key that clients must send; empty: one is generated on first run", secret=True)
    allow_short_key: bool = setting(False, "accept a key of fewer than 16 characters")
    max_body: int = setting(32 * 1024 * 1024, "largest request body", unit="bytes", least=1)
    max_inflight: int = setting(64 * 1024 * 1024, "largest sum of the bodies held at one time", unit="bytes", least=1)
    max_header: int = setting(16 * 1024, "largest head of a request", unit="bytes", least=1)
    rate_per_minute: int = setting(0, "requests that one key may make; 0: any number", unit="per minute", least=0)
    json_keepalive: bool = setting(False, "send leading blanks ahead of a JSON answer that takes long")
    workers: int = setting(
        1,
        "processes that share the port and the work, for more than one processor; limits hold for all together",
        unit="processes",
        least=1,
        most=64,
    )
    drain: float = setting(30.0, "how long a stop waits for running answers", unit="seconds", least=0)


@frozen
class UpstreamSettings:
    flavour: str = setting("rest", "which of Kiro's protocols to speak", choices=("rest", "rpc", "runtime"))
    url: str = setting("", "replaces scheme and host of every Kiro data call; its path goes in front", form="url")
    auth_url: str = setting("", "replaces scheme and host of every sign-in call; its path goes in front", form="url")
    portal_url: str = setting("", "replaces scheme and host of the portal; its path goes in front", form="url")
    region: str = setting("us-east-1", "region of data calls where no profile names one", form="region")
    origin: str = setting("AI_EDITOR", "value of `origin` in every message")
    user_agent: str = setting("", "User-Agent of upstream calls; empty: kirotrio/<version>")
    proxy_url: str = setting("", "HTTP, HTTPS or SOCKS5 proxy for every upstream call", secret=True, form="proxy")
    no_proxy: str = setting("", "hosts reached without the proxy, separated by commas")
    certificates: str = setting("auto", "where trusted roots come from", choices=("auto", "system", "bundled"))
    connections: int = setting(1000, "largest number towards the upstream", unit="connections", least=1)


@frozen
class DeadlineSettings:
    connect: float = setting(10.0, "to connect to the upstream", unit="seconds", above=0)
    first_event: float = setting(120.0, "to the upstream's first event", unit="seconds", above=0)
    first_event_thinking: float = setting(300.0, "the same while thinking may run", unit="seconds", above=0)
    silence: float = setting(300.0, "between two events before the answer is ended", unit="seconds", above=0)
    total: float = setting(1800.0, "for one whole answer over all attempts", unit="seconds", above=0)
    client_write: float = setting(30.0, "for a client to take what was written to it", unit="seconds", above=0)
    prepare: float = setting(30.0, "for reading and preparing one request", unit="seconds", above=0)
    tail: float = setting(
        5.0, "how long to read on for the measured count after a limit was met", unit="seconds", above=0
    )
    silence_note: float = setting(
        100.0, "of silence until it is logged; again after twice that", unit="seconds", above=0
    )
    error_body: float = setting(5.0, "for the body of an upstream error whose status is known", unit="seconds", above=0)
    lookup: float = setting(10.0, "for one look at the account's models or usage", unit="seconds", above=0)
    unwanted_body: float = setting(3.0, "that a refused body may still take to arrive", unit="seconds", least=0)
    stop_writes: float = setting(5.0, "that a stop gives to what is still being written", unit="seconds", least=0)
    search: float = setting(20.0, "for one web search", unit="seconds", above=0)
    fetch: float = setting(20.0, "for fetching one remote image, document or page", unit="seconds", above=0)
    extract: float = setting(30.0, "for reading the text of one document", unit="seconds", above=0)
    sign_in: float = setting(20.0, "for one call that refreshes a token or looks a profile up", unit="seconds", above=0)
    login: float = setting(600.0, "for a person to finish a sign-in", unit="seconds", above=0)
    store: float = setting(5.0, "for one step of the database", unit="seconds", above=0)
    queue: float = setting(30.0, "that a request waits for a free place on an account", unit="seconds", least=0)


@frozen
class RelaySettings:
    attempts: int = setting(3, "how often one request is tried in all", unit="attempts", least=1)
    keepalive_live: float = setting(15.0, "send a sign of life after this much silence (live)", unit="seconds", above=0)
    keepalive_buffered: float = setting(25.0, "the same in the buffered mode", unit="seconds", above=0)
    repair: bool = setting(
        False, "ask once more, which is paid for, where an answer does not meet the tool choice or schema asked for"
    )
    begin_after: float = setting(
        1.0,
        "begin a Responses stream after this long, even if the upstream has not taken the request on; until then its "
        "refusal is an HTTP status",
        unit="seconds",
        least=0,
    )
    spool: int = setting(64 * 1024 * 1024, "largest answer that the buffered mode holds", unit="bytes", least=1)


@frozen
class ThinkingSettings:
    default: bool = setting(True, "think where the client says nothing about it")
    show: str = setting("auto", "who is shown thinking", choices=("auto", "always", "never"))


@frozen
class LimitSettings:
    enforce_max_tokens: str = setting("auto", "cut text at max_tokens", choices=("auto", "off"))


@frozen
class ToolSettings:
    description_max_length: int = setting(
        10_000, "longer tool descriptions move to the system text", unit="characters", least=0
    )


@frozen
class SearchSettings:
    max_uses: int = setting(8, "web searches for one request at most", unit="searches", least=0)


@frozen
class FetchSettings:
    max_uses: int = setting(8, "pages that a model may fetch for one request", unit="fetches", least=0)
    max_image: int = setting(10 * 1024 * 1024, "largest remote image", unit="bytes", least=1)
    max_document: int = setting(32 * 1024 * 1024, "largest remote document or page", unit="bytes", least=1)
    redirects: int = setting(5, "redirects to follow", unit="redirects", least=0)
    allow_networks: str = setting(
        "", "private networks that may be fetched from all the same, separated by commas (10.0.0.0/8)", form="networks"
    )


@frozen
class DocumentSettings:
    max_pages: int = setting(500, "pages of a document that are read", unit="pages", least=1)
    max_text: int = setting(2_000_000, "text of a document that is kept", unit="characters", least=1)
    max_memory: int = setting(1024 * 1024 * 1024, "memory that reading a document may take", unit="bytes", least=1)
    max_kept: int = setting(
        64 * 1024 * 1024, "images and texts of files kept for the next turn, in all; 0: none", unit="bytes", least=0
    )
    keep: float = setting(3600.0, "how long they are kept before they are fetched anew", unit="seconds", least=0)


@frozen
class ResponseSettings:
    max_memory: int = setting(64 * 1024 * 1024, "stored responses in all", unit="bytes", least=0)
    keep: float = setting(86_400.0, "how long a stored response can be continued", unit="seconds", least=0)


@frozen
class ModelSettings:
    alias: dict[str, str] = setting(dict, "other names for models: alias = model")
    default: str = setting("", "model for unknown names; empty: an unknown name is an error")
    claude_aliases: bool = setting(True, "list other makers' models under a name that begins claude-, too")


@frozen
class UsageSettings:
    subtract_output: bool = setting(False, "take the output away from a measured context")


@frozen
class AccountSettings:
    refresh_token: str = setting("", "refresh token of a social sign-in", secret=True)
    api_key: str = setting("", "Kiro API key (ksk_…)", secret=True, form="token")
    client_id: str = setting("", "OIDC client of the refresh token (Builder ID, Identity Center)")
    client_secret: str = setting("", "secret of that client", secret=True)
    sso_region: str = setting(
        "", "region of the sign-in; empty: us-east-1, with a client_id the upstream region", form="region"
    )
    profile_arn: str = setting("", "profile ARN; empty: looked up where one is needed")
    creds_file: str = setting("", "credentials file of the Kiro IDE's form")
    write_back: bool = setting(
        True,
        "write rotated tokens back to the store that they came from; false: a token found there is used to its end and "
        "never refreshed",
    )
    refresh_ahead: float = setting(300.0, "refresh a token this long before it expires", unit="seconds", least=0)
    strategy: str = setting(
        "sticky",
        "which account answers: that of the session, the first by priority, the one with most credits left, or each "
        "in turn",
        choices=("sticky", "priority", "balanced", "round-robin"),
    )
    max_concurrent: int = setting(
        4, "requests that one account answers at one time; 0: any number", unit="requests", least=0
    )
    per_minute: int = setting(0, "requests a minute to one account; 0: any number", unit="per minute", least=0)
    max_queue: int = setting(64, "requests that may wait for one account", unit="requests", least=0)
    usage_every: float = setting(
        900.0,
        "how long an account's credits are taken as known before they are asked for again",
        unit="seconds",
        above=0,
    )
    models_every: float = setting(3600.0, "the same for an account's list of models", unit="seconds", above=0)
    suspicion_pause: float = setting(
        21_600.0, "pause of an account whose activity Kiro calls suspicious", unit="seconds", least=0
    )


@frozen
class DataSettings:
    dir: Path | None = setting(None, "folder for what must last; default: the platform's")


@frozen
class StoreSettings:
    url: str = setting(
        "",
        "database of the form postgresql://user:password@host/name; empty: kirotrio.db in the data folder",
        secret=True,
        form="database",
    )
    key_source: str = setting(
        "auto",
        "where the key to the secrets lies: the system's keyring where there is one, or a file",
        choices=("auto", "keyring", "file"),
    )
    key_file: Path | None = setting(None, "that file; default: store.key in the data folder")
    keyring_deadline: float = setting(
        30.0, "for one answer of the system's keyring, which may ask its owner first", unit="seconds", above=0
    )
    look_every: float = setting(
        2.0, "between two looks at whether accounts were changed elsewhere", unit="seconds", above=0
    )
    gateway_lapse: float = setting(
        15.0,
        "until one of several gateways that is not heard of counts as gone, and what it held is free",
        unit="seconds",
        least=3,
    )
    max_pending: int = setting(
        1000, "records of requests that wait to be written; beyond, the oldest is dropped", unit="records", least=1
    )
    keep_requests: float = setting(30 * 86_400.0, "how long records of requests are kept", unit="seconds", least=0)


@frozen
class TelemetrySettings:
    otlp_endpoint: str = setting(
        "", "address of an OpenTelemetry collector for traces (OTLP over HTTP); empty: none are made", form="url"
    )
    otlp_headers: str = setting("", "fields that it wants to be sent, as name=value, separated by commas", secret=True)
    otlp_sample: float = setting(
        100.0, "of the requests that are traced, where the client does not say", unit="percent", least=0, most=100
    )
    otlp_every: float = setting(5.0, "how long traces are gathered before they are sent", unit="seconds", above=0)
    otlp_deadline: float = setting(10.0, "for one call to the collector", unit="seconds", above=0)
    max_traces: int = setting(
        2000, "traces that wait to be sent; beyond, the oldest is dropped", unit="requests", least=1
    )
    service_name: str = setting("kirotrio", "what this gateway is called in traces")


@frozen
class LogSettings:
    level: str = setting("info", "least severe level to log", choices=("debug", "info", "warning", "error"))
    format: str = setting("auto", "console, json, or auto (console on a terminal)", choices=("auto", "console", "json"))


@frozen
class RecorderSettings:
    requests: int = setting(0, "latest requests that are recorded on disk; 0: none", unit="requests", least=0)
    max_bytes: int = setting(64 * 1024 * 1024, "largest sum of the recordings", unit="bytes", least=0)
    max_part: int = setting(
        4 * 1024 * 1024,
        "most that is kept of a request's body, of one upstream answer and of what the client got",
        unit="bytes",
        least=0,
    )
    texts: str = setting("mask", "what was said: only its length and shape, or all of it", choices=("mask", "keep"))


@frozen
class SimulatorSettings:
    """Defaults of the simulator's controls (CONTRACT, Simulator)."""

    scenario: str = setting(
        "text",
        "what the simulated model does",
        choices=("text", "thinking", "native-thinking", "tools", "parallel-tools", "web-search", "long", "empty"),
    )
    events: int = setting(0, "number of text events; 0: the scenario's own", unit="events", least=0)
    size: int = setting(0, "length of each event; 0: the scenario's own", unit="characters", least=0)
    gap_ms: float = setting(0.0, "pause between two events", unit="milliseconds", least=0)
    first_ms: float = setting(0.0, "pause before the first event", unit="milliseconds", least=0)
    context_pct: float = setting(
        0.0, "context usage to report; 0: computed from the request", unit="percent", least=0, most=100
    )
    split: int = setting(0, "size of each TCP write; 0: whole frames", unit="bytes", least=0)
    status: str = setting("", "HTTP error to answer with, by number or reason")
    exception: str = setting("", "exception to send inside the stream")
    cut_after: int = setting(0, "cut the connection after so many; 0: never", unit="events", least=0)
    stall_after: int = setting(0, "fall silent after so many; 0: never", unit="events", least=0)
    corrupt: str = setting("", "damage a frame", choices=("", "crc", "prelude", "json"))
    fail_first: int = setting(0, "how many fail before one succeeds", unit="attempts", least=0)


@frozen
class Settings:
    """All settings. Immutable; passed to whoever needs a part of it."""

    server: ServerSettings = field(factory=ServerSettings)
    access: AccessSettings = field(factory=AccessSettings)
    upstream: UpstreamSettings = field(factory=UpstreamSettings)
    deadlines: DeadlineSettings = field(factory=DeadlineSettings)
    relay: RelaySettings = field(factory=RelaySettings)
    thinking: ThinkingSettings = field(factory=ThinkingSettings)
    limits: LimitSettings = field(factory=LimitSettings)
    tools: ToolSettings = field(factory=ToolSettings)
    search: SearchSettings = field(factory=SearchSettings)
    fetch: FetchSettings = field(factory=FetchSettings)
    documents: DocumentSettings = field(factory=DocumentSettings)
    responses: ResponseSettings = field(factory=ResponseSettings)
    models: ModelSettings = field(factory=ModelSettings)
    usage: UsageSettings = field(factory=UsageSettings)
    accounts: AccountSettings = field(factory=AccountSettings)
    data: DataSettings = field(factory=DataSettings)
    store: StoreSettings = field(factory=StoreSettings)
    users: UserSettings = field(factory=UserSettings)
    log: LogSettings = field(factory=LogSettings)
    telemetry: TelemetrySettings = field(factory=TelemetrySettings)
    recorder: RecorderSettings = field(factory=RecorderSettings)
    sign_in: SignInSettings = field(factory=SignInSettings)
    simulator: SimulatorSettings = field(factory=SimulatorSettings)
