-- How much of what they may do in a time callers have done: two rows for whoever makes plans.
create table allowances (
    caller text not null,
    allowance text not null,
    began_at timestamptz not null,
    taken bigint not null,
    primary key (caller, allowance)
);
