-- Messages that were being read when their reader died. Unlogged: what matters outlives a process,
-- and need not outlive the database.
create unlogged table suspects (
    fingerprint text primary key,
    entries int not null,
    entered_at timestamptz not null default now()
);
