-- Who may use the API. What is secret is here as a digest only, and never in the log.
create schema identity;

create table identity.users (
    user_id text primary key,
    login text not null unique,
    name text not null default '',
    password text not null,
    role text not null check (role in ('user', 'admin')),
    is_active boolean not null default true,
    created_at timestamptz not null
);

-- A session begins with a password; refresh tokens carry it on, each for one use.
create table identity.sessions (
    session_id text primary key,
    user_id text not null references identity.users on delete cascade,
    opened_at timestamptz not null,
    ended_at timestamptz,
    why text not null default ''
);
create index on identity.sessions (user_id);

create table identity.refresh_tokens (
    digest bytea primary key,
    session_id text not null references identity.sessions on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz,
    used_by text
);
create index on identity.refresh_tokens (session_id);

create table identity.keys (
    key_id text primary key,
    digest bytea not null,
    owner text not null,
    subject text not null,
    role text not null check (role in ('user', 'admin', 'system')),
    scopes text[],
    name text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    last_used_at timestamptz
);
create index on identity.keys (owner);

-- Tokens of a subject that were issued before a moment count no more.
create table identity.revoked (
    subject text primary key,
    not_before timestamptz not null
);
