-- The keys with which what is personal in the log is encrypted. Deleting a key is forgetting.
create schema keys;

create table keys.data_keys (
    id bigint generated always as identity primary key,
    subject text not null unique,   -- whose: one that was forgotten gets another, with another id
    kek text not null,              -- which key it is wrapped with
    wrapped bytea not null,
    made_at timestamptz not null default now()
);

-- Whose key a plan and its runs are encrypted with; it stays when the key is gone.
create table keys.streams (
    stream text primary key,
    key_id bigint not null
);
create index streams_key_id on keys.streams (key_id);

-- What was forgotten, so that it can be forgotten once more after a backup was restored.
create table keys.forgotten (
    key_id bigint primary key,
    subject text not null,
    streams integer not null,
    actor text not null,
    forgotten_at timestamptz not null default now()
);
