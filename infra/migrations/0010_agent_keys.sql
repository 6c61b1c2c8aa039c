-- Keys that agents sign their reports with. No secret is here: each is made again, from the one
-- secret of the installation, the key's id and the agent's.
create table agent_keys (
    key_id text primary key,
    agent_id text not null,
    issued_at timestamptz not null default now(),
    issued_by text not null,
    revoked_at timestamptz,
    revoked_because text not null default ''
);
create index on agent_keys (agent_id);
