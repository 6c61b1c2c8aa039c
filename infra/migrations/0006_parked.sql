-- Events that a follower could not read and has passed over, until code that can read them comes.
create table parked (
    follower text not null,
    position bigint not null,
    stream text not null,
    why text not null,
    parked_at timestamptz not null default now(),
    primary key (follower, position)
);
