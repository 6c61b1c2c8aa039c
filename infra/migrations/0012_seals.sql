-- Seals: what the log was. Each holds the hash of every event of a stretch of positions and of the
-- seal before it, so that whoever changes the past has to change everything after it too.
create table seals (
    number bigint primary key,
    first_position bigint not null,
    last_position bigint not null,
    count integer not null,
    positions bytea,          -- 8 bytes each; null where they follow one another without a gap
    hashes bytea not null,    -- 32 bytes each, in the order of positions
    previous bytea not null,  -- the hash of the seal before; zeros in the first
    hash bytea not null,
    sealed_at timestamptz not null
);

-- Hashes do not compress: trying costs time.
alter table seals alter column hashes set storage external;

-- The same as event_hash in infra/audit/hashing.py; lengths go before what has no fixed one.
create function event_hash(place bigint, stream text, version bigint, type text, state bytea)
    returns bytea language sql immutable as $$
select sha256(
    int8send(place) || int8send(version)
    || int4send(octet_length(convert_to(stream, 'utf8'))) || convert_to(stream, 'utf8')
    || int4send(octet_length(convert_to(type, 'utf8'))) || convert_to(type, 'utf8')
    || state)
$$;

create trigger seals_are_append_only
    before update or delete or truncate on seals
    for each statement execute function refuse_to_forget();
