-- SQLite's database as the migrations leave an empty one: what a new file is made with (`store/creation.py`).
CREATE TABLE accounts (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(64) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    provider VARCHAR(64) NOT NULL,
    email VARCHAR(320) NOT NULL,
    user_id VARCHAR(256) NOT NULL,
    enabled BOOLEAN NOT NULL,
    mark VARCHAR(32) NOT NULL,
    mark_reason TEXT NOT NULL,
    marked_at FLOAT,
    follows TEXT NOT NULL,
    profile_arn VARCHAR(256) NOT NULL,
    sign_in_region VARCHAR(32) NOT NULL,
    start_url TEXT NOT NULL,
    client_id TEXT NOT NULL,
    token_endpoint TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at FLOAT,
    registration_expires_at FLOAT,
    region VARCHAR(32) NOT NULL,
    flavour VARCHAR(16) NOT NULL,
    endpoint TEXT NOT NULL,
    priority INTEGER NOT NULL,
    max_concurrent INTEGER,
    per_minute INTEGER,
    sealed BLOB NOT NULL,
    created_at FLOAT NOT NULL,
    updated_at FLOAT NOT NULL, owner_id VARCHAR(36) DEFAULT '' NOT NULL, lent BOOLEAN DEFAULT 1 NOT NULL,
    CONSTRAINT pk_accounts PRIMARY KEY (id),
    CONSTRAINT uq_accounts_name UNIQUE (name)
);
CREATE TABLE announcements (
    id VARCHAR(36) NOT NULL,
    title VARCHAR(200) NOT NULL,
    body TEXT NOT NULL,
    severity VARCHAR(16) NOT NULL,
    from_at FLOAT NOT NULL,
    until_at FLOAT,
    created_by VARCHAR(36) NOT NULL,
    created_at FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    CONSTRAINT pk_announcements PRIMARY KEY (id)
);
CREATE TABLE audit (
    id INTEGER NOT NULL,
    at FLOAT NOT NULL,
    actor_id VARCHAR(36) NOT NULL,
    actor VARCHAR(64) NOT NULL,
    action VARCHAR(64) NOT NULL,
    subject VARCHAR(256) NOT NULL,
    detail TEXT NOT NULL,
    address VARCHAR(64) NOT NULL,
    CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE TABLE cooldowns (
    account_id VARCHAR(36) NOT NULL,
    model VARCHAR(128) NOT NULL,
    blame VARCHAR(32) NOT NULL,
    reason TEXT NOT NULL,
    began_at FLOAT NOT NULL,
    until FLOAT NOT NULL,
    CONSTRAINT pk_cooldowns PRIMARY KEY (account_id, model),
    CONSTRAINT fk_cooldowns_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE gateways (
    holder VARCHAR(128) NOT NULL,
    until FLOAT NOT NULL,
    CONSTRAINT pk_gateways PRIMARY KEY (holder)
);
CREATE TABLE homes (
    session VARCHAR(64) NOT NULL,
    account_key VARCHAR(192) NOT NULL,
    at FLOAT NOT NULL,
    CONSTRAINT pk_homes PRIMARY KEY (session)
);
CREATE TABLE identities (
    provider VARCHAR(64) NOT NULL,
    subject VARCHAR(256) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    shown VARCHAR(320) NOT NULL,
    created_at FLOAT NOT NULL,
    CONSTRAINT pk_identities PRIMARY KEY (provider, subject),
    CONSTRAINT fk_identities_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE invitations (
    id VARCHAR(36) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    role VARCHAR(16) NOT NULL,
    email VARCHAR(320) NOT NULL,
    created_by VARCHAR(36) NOT NULL,
    created_at FLOAT NOT NULL,
    expires_at FLOAT NOT NULL,
    used_at FLOAT,
    used_by VARCHAR(36) NOT NULL,
    CONSTRAINT pk_invitations PRIMARY KEY (id),
    CONSTRAINT uq_invitations_digest UNIQUE (digest)
);
CREATE TABLE key_holds (
    key_id VARCHAR(36) NOT NULL,
    hold VARCHAR(64) NOT NULL,
    until FLOAT NOT NULL,
    CONSTRAINT pk_key_holds PRIMARY KEY (key_id, hold),
    CONSTRAINT fk_key_holds_key_id FOREIGN KEY(key_id) REFERENCES keys (id) ON DELETE CASCADE
);
CREATE TABLE key_usage (
    key_id VARCHAR(36) NOT NULL,
    window VARCHAR(8) NOT NULL,
    began_at BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    credits FLOAT NOT NULL,
    CONSTRAINT pk_key_usage PRIMARY KEY (key_id, window, began_at),
    CONSTRAINT fk_key_usage_key_id FOREIGN KEY(key_id) REFERENCES keys (id) ON DELETE CASCADE
);
CREATE TABLE keys (
    id VARCHAR(36) NOT NULL,
    prefix VARCHAR(16) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    name VARCHAR(64) NOT NULL,
    owner_id VARCHAR(36),
    created_at FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    expires_at FLOAT,
    revoked_at FLOAT,
    last_used_at FLOAT,
    last_address VARCHAR(64) NOT NULL,
    models TEXT NOT NULL,
    surfaces TEXT NOT NULL,
    networks TEXT NOT NULL,
    account VARCHAR(64) NOT NULL,
    max_concurrent INTEGER NOT NULL,
    limits TEXT NOT NULL,
    CONSTRAINT pk_keys PRIMARY KEY (id),
    CONSTRAINT uq_keys_digest UNIQUE (digest),
    CONSTRAINT fk_keys_owner_id FOREIGN KEY(owner_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE leases (
    name VARCHAR(128) NOT NULL,
    holder VARCHAR(128) NOT NULL,
    until FLOAT NOT NULL,
    CONSTRAINT pk_leases PRIMARY KEY (name)
);
CREATE TABLE ledgers (
    name VARCHAR(192) NOT NULL,
    content TEXT NOT NULL,
    at FLOAT NOT NULL,
    CONSTRAINT pk_ledgers PRIMARY KEY (name)
);
CREATE TABLE meta (
    name VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_meta PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('revision','0');
CREATE TABLE news (
    number BIGINT NOT NULL,
    at FLOAT NOT NULL,
    teller VARCHAR(128) NOT NULL,
    content TEXT NOT NULL,
    CONSTRAINT pk_news PRIMARY KEY (number)
);
CREATE TABLE requests (
    id VARCHAR(64) NOT NULL,
    at FLOAT NOT NULL,
    key_id VARCHAR(64) NOT NULL,
    account VARCHAR(64) NOT NULL,
    model VARCHAR(128) NOT NULL,
    surface VARCHAR(32) NOT NULL,
    mode VARCHAR(16) NOT NULL,
    outcome VARCHAR(32) NOT NULL,
    error TEXT NOT NULL,
    seconds FLOAT NOT NULL,
    first_event_seconds FLOAT,
    attempts INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    usage VARCHAR(16) NOT NULL,
    credits FLOAT, queue_seconds FLOAT, connect_seconds FLOAT, status INTEGER, upstream_id VARCHAR(128) DEFAULT '' NOT NULL, tries TEXT DEFAULT '' NOT NULL, client VARCHAR(200) DEFAULT '' NOT NULL, address VARCHAR(64) DEFAULT '' NOT NULL,
    CONSTRAINT pk_requests PRIMARY KEY (id)
);
CREATE TABLE response_items (
    digest VARCHAR(64) NOT NULL,
    response VARCHAR(64) NOT NULL,
    CONSTRAINT pk_response_items PRIMARY KEY (digest),
    CONSTRAINT fk_response_items_response FOREIGN KEY(response) REFERENCES responses (digest) ON DELETE CASCADE
);
CREATE TABLE responses (
    digest VARCHAR(64) NOT NULL,
    previous VARCHAR(64) NOT NULL,
    size INTEGER NOT NULL,
    used_at FLOAT NOT NULL,
    sealed BLOB NOT NULL,
    CONSTRAINT pk_responses PRIMARY KEY (digest)
);
CREATE TABLE schema_revision (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT schema_revision_pkc PRIMARY KEY (version_num)
);
INSERT INTO "schema_revision" VALUES('0003');
CREATE TABLE sign_ins (
    id VARCHAR(36) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    user_id VARCHAR(36) NOT NULL,
    version INTEGER NOT NULL,
    csrf VARCHAR(64) NOT NULL,
    created_at FLOAT NOT NULL,
    seen_at FLOAT NOT NULL,
    expires_at FLOAT NOT NULL,
    confirmed_at FLOAT,
    second_factor_at FLOAT,
    address VARCHAR(64) NOT NULL,
    agent TEXT NOT NULL,
    CONSTRAINT pk_sign_ins PRIMARY KEY (id),
    CONSTRAINT uq_sign_ins_digest UNIQUE (digest),
    CONSTRAINT fk_sign_ins_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE snapshots (
    account_id VARCHAR(36) NOT NULL,
    topic VARCHAR(16) NOT NULL,
    content TEXT NOT NULL,
    fetched_at FLOAT NOT NULL,
    CONSTRAINT pk_snapshots PRIMARY KEY (account_id, topic),
    CONSTRAINT fk_snapshots_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE successors (
    digest VARCHAR(64) NOT NULL,
    sealed BLOB NOT NULL,
    updated_at FLOAT NOT NULL,
    CONSTRAINT pk_successors PRIMARY KEY (digest)
);
CREATE TABLE throttles (
    name VARCHAR(160) NOT NULL,
    failures INTEGER NOT NULL,
    until FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    CONSTRAINT pk_throttles PRIMARY KEY (name)
);
CREATE TABLE token_digests (
    digest VARCHAR(64) NOT NULL,
    account_id VARCHAR(36) NOT NULL,
    CONSTRAINT pk_token_digests PRIMARY KEY (digest),
    CONSTRAINT fk_token_digests_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE users (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(64) NOT NULL,
    display VARCHAR(128) NOT NULL,
    email VARCHAR(320) NOT NULL,
    role VARCHAR(16) NOT NULL,
    state VARCHAR(16) NOT NULL,
    password TEXT NOT NULL,
    sealed BLOB,
    version INTEGER NOT NULL,
    language VARCHAR(16) NOT NULL,
    created_at FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    last_sign_in_at FLOAT,
    second_factor_at FLOAT,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_name UNIQUE (name)
);
CREATE TABLE worth (
    account_id VARCHAR(36) NOT NULL,
    "plan" VARCHAR(200) NOT NULL,
    email VARCHAR(320) NOT NULL,
    credits_used FLOAT,
    credits_limit FLOAT,
    credits_left FLOAT,
    resets_at FLOAT,
    fetched_at FLOAT NOT NULL,
    CONSTRAINT pk_worth PRIMARY KEY (account_id),
    CONSTRAINT fk_worth_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX ix_token_digests_account_id ON token_digests (account_id);
CREATE INDEX ix_requests_at ON requests (at);
CREATE INDEX ix_requests_key_id ON requests (key_id, at);
CREATE INDEX ix_requests_account ON requests (account, at);
CREATE INDEX ix_identities_user_id ON identities (user_id);
CREATE INDEX ix_sign_ins_user_id ON sign_ins (user_id);
CREATE INDEX ix_keys_name ON keys (name);
CREATE INDEX ix_keys_owner_id ON keys (owner_id);
CREATE INDEX ix_audit_at ON audit (at);
CREATE INDEX ix_audit_action ON audit (action);
CREATE INDEX ix_news_at ON news (at);
CREATE INDEX ix_homes_at ON homes (at);
CREATE INDEX ix_responses_used_at ON responses (used_at);
CREATE INDEX ix_response_items_response ON response_items (response);
