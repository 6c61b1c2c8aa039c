-- Messages that nobody could accept, with the reason, kept until somebody decides.
create table dead_letters (
    id bigint generated always as identity primary key,
    message_id text not null,
    reason text not null,
    detail text not null,
    exchange text not null,
    routing_key text not null,
    queue text not null,
    headers jsonb not null,
    properties jsonb not null,
    body bytea not null,
    died_at timestamptz not null,
    fingerprint text not null unique
);

create index dead_letters_reason on dead_letters (reason, id);
