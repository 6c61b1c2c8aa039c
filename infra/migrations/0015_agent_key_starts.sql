-- When a key was issued, by the version of its agent's stream: an agent that is deregistered after
-- that has it revoked. And the key that came in its place, where the agent has registered again.
alter table agent_keys
    add column since_version bigint not null default 0,
    add column replaced_by text;
