-- What becomes of dead letters: where each one stands, everything that happened to it, and redrives.
alter table dead_letters
    add column type text not null default '',
    add column shape text not null default '',
    add column cause text not null default '',
    add column status text not null default 'kept'
        check (status in ('kept', 'redriving', 'redriven', 'accepted', 'discarded')),
    add column first_died_at timestamptz not null default now(),
    add column deaths integer not null default 1,
    add column redrives integer not null default 0,
    add column edits integer not null default 0,
    add column edited_body bytea,
    add column edited jsonb not null default '{}',
    add column redrive bigint;

-- What was kept before is grouped by what is known of it without reading its body.
update dead_letters
   set type = routing_key,
       first_died_at = died_at,
       shape = regexp_replace(detail, '\S*\d\S*', '#', 'g');
update dead_letters
   set cause = left(encode(sha256(convert_to(
           concat_ws(E'\x1f', reason, shape, exchange, queue, type), 'utf8')), 'hex'), 12);

drop index dead_letters_reason;
create index dead_letters_standing on dead_letters (status, id);
create index dead_letters_cause on dead_letters (cause, status, id);
create index dead_letters_under_way on dead_letters (redrive, id) where status = 'redriving';

create table dead_letter_history (
    id bigint generated always as identity primary key,
    letter bigint not null references dead_letters,
    kind text not null
        check (kind in ('died', 'redriven', 'returned', 'accepted', 'edited', 'discarded')),
    number integer not null, -- for which time it was sent again by then
    at timestamptz not null,
    actor text not null,
    why text not null,
    reason text,             -- of a death: its stable code
    diff jsonb,              -- of an edit: what it changed
    content bytea,           -- of an edit: the body from then on, where it changed
    redrive bigint,          -- which redrive it belongs to
    position bigint          -- of an acceptance: the last event it led to
);

create index dead_letter_history_letter on dead_letter_history (letter, id);
create index dead_letter_history_redrive on dead_letter_history (redrive, kind)
    where redrive is not null;
-- However often a message is delivered, refused and read: it dies, or is accepted, once a redrive.
create unique index dead_letter_history_ends on dead_letter_history (letter, number, kind)
    where kind in ('died', 'accepted');

insert into dead_letter_history (letter, kind, number, at, actor, why, reason)
select id, 'died', 0, died_at, 'taskloom.keeper', detail, reason from dead_letters order by id;

create table dead_letter_redrives (
    id bigint generated always as identity primary key,
    key text unique,         -- by which a request that is repeated is recognised
    actor text not null,
    why text not null,
    asked_at timestamptz not null default now(),
    chosen jsonb not null,
    rate double precision,
    canary integer not null,
    is_canary_well boolean not null default false,
    only_accepted boolean not null,
    status text not null default 'running'
        check (status in ('running', 'completed', 'halted', 'cancelled')),
    outcome text not null default '',
    ended_at timestamptz,
    total bigint not null,
    up_to bigint not null,   -- what dies later is not meant
    after bigint not null default 0,
    skipped bigint not null default 0
);

create index dead_letter_redrives_running on dead_letter_redrives (id) where status = 'running';

-- A letter stays for ever, as it came.
create function refuse_to_lose_a_letter() returns trigger language plpgsql as $$
begin
    raise exception 'a dead letter stays as it came: % refused', tg_op
        using errcode = 'restrict_violation';
end
$$;

create trigger dead_letters_stay
    before delete or truncate on dead_letters
    for each statement execute function refuse_to_lose_a_letter();

create trigger dead_letters_stay_as_they_came
    before update on dead_letters
    for each row when (
        (old.body, old.message_id, old.exchange, old.routing_key, old.fingerprint)
        is distinct from (new.body, new.message_id, new.exchange, new.routing_key, new.fingerprint))
    execute function refuse_to_lose_a_letter();

create trigger dead_letter_history_is_append_only
    before update or delete or truncate on dead_letter_history
    for each statement execute function refuse_to_forget();
