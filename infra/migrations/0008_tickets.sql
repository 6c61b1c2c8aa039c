-- Tickets for live updates: used once, within seconds. What one opens is sealed under it.
create table tickets (
    digest bytea primary key,
    sealed bytea not null,
    expires_at timestamptz not null
);

create index tickets_expires_at on tickets (expires_at);
