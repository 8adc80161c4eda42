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
    updated_at FLOAT NOT NULL,
    CONSTRAINT pk_accounts PRIMARY KEY (id),
    CONSTRAINT uq_accounts_name UNIQUE (name)
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
CREATE TABLE leases (
    name VARCHAR(128) NOT NULL,
    holder VARCHAR(128) NOT NULL,
    until FLOAT NOT NULL,
    CONSTRAINT pk_leases PRIMARY KEY (name)
);
CREATE TABLE meta (
    name VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_meta PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('revision','0');
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
    credits FLOAT,
    CONSTRAINT pk_requests PRIMARY KEY (id)
);
CREATE TABLE schema_revision (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT schema_revision_pkc PRIMARY KEY (version_num)
);
INSERT INTO "schema_revision" VALUES('0001');
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
CREATE TABLE token_digests (
    digest VARCHAR(64) NOT NULL,
    account_id VARCHAR(36) NOT NULL,
    CONSTRAINT pk_token_digests PRIMARY KEY (digest),
    CONSTRAINT fk_token_digests_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX ix_token_digests_account_id ON token_digests (account_id);
CREATE INDEX ix_requests_at ON requests (at);
