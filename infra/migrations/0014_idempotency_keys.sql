-- What was asked with which key: who asks something else with a key of theirs is told so.
create table idempotency_keys (
    caller text not null,
    key text not null,
    fingerprint bytea not null,
    asked_at timestamptz not null default now(),
    primary key (caller, key)
);
create index idempotency_keys_age on idempotency_keys (asked_at);
