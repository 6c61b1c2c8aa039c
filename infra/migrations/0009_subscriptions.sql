-- Who wants to hear of which events, how they are brought, and how far each subscription is.
create table subscriptions (
    subscription_id text primary key,
    owner text not null,
    agent_id text not null,
    topics text[] not null,
    filters jsonb not null,
    delivery text not null check (delivery in ('queue', 'webhook', 'websocket')),
    url text,
    secret text,
    hears_all boolean not null,
    plans_of text,
    created_at timestamptz not null,
    position bigint not null,
    delivered bigint not null default 0,
    state text not null default 'active' check (state in ('active', 'disabled')),
    failing_since timestamptz,
    failures integer not null default 0,
    last_error text
);

create index subscriptions_owner on subscriptions (owner, created_at);
