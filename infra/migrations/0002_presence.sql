-- What agents' heartbeats said last. Signals are not facts: losing this table costs nothing.
create unlogged table presence (
    agent_id text primary key,
    instance text not null,
    lifecycle text not null,
    load real not null,
    cpu real not null,
    memory_bytes bigint not null,
    tasks jsonb not null,
    seen_at timestamptz not null
);
