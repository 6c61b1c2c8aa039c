-- Roles with the least rights. Run by the owner of the tables, after the migrations, as often as
-- one likes: `taskloom db grant`. README.md says who may do what.

do $$
declare
    role text;
begin
    foreach role in array array['tl_owner', 'tl_append', 'tl_project', 'tl_read', 'tl_keys'] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I nologin', role);
        end if;
    end loop;
    -- Without a password nobody can log in; `taskloom db grant` sets them.
    foreach role in array array['tl_api', 'tl_coordinator', 'tl_projector', 'tl_reader'] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I login', role);
        end if;
        execute format('alter role %I set search_path = public', role);
    end loop;
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to tl_api, tl_coordinator, tl_projector, tl_reader',
                   current_database());
    execute format('grant tl_owner to %I', current_user);
end
$$;

grant tl_append, tl_keys to tl_api;
grant tl_append, tl_project, tl_keys to tl_coordinator;
grant tl_project, tl_keys to tl_projector;
grant tl_read to tl_reader;

alter role tl_reader set default_transaction_read_only = on;
alter role tl_reader set statement_timeout = '2s';

create schema if not exists views;
revoke all on schema public, views from public;
grant usage, create on schema public to tl_owner;
grant usage on schema public to tl_append, tl_project, tl_read;
grant usage on schema views to tl_append, tl_project, tl_read;
grant create on schema views to tl_project;

-- What was given before is taken back: a migration may have made a table that nobody may change.
revoke all on all tables in schema public from tl_append, tl_project, tl_read;
revoke all on all sequences in schema public from tl_append, tl_project, tl_read;
revoke execute on all functions in schema public from public;
grant execute on all functions in schema public to tl_append;

do $$
declare
    name text;
begin
    for name in select tablename from pg_tables where schemaname = 'public' loop
        if name = 'schema_version' then
            execute format('grant select on %I to tl_append, tl_project, tl_read', name);
        elsif name = 'events' then
            -- Positions are drawn: nobody chooses one.
            grant select, insert (originator_id, originator_version, topic, state)
                on events to tl_append;
            grant select on events to tl_project;
        elsif name in ('seals', 'dead_letter_history') then
            execute format('grant select, insert on %I to tl_append', name);
        elsif name = 'dead_letters' then
            execute format('grant select, insert, update on %I to tl_append', name);
        elsif name = 'positions' then
            execute format('grant select, insert, update on %I to tl_append, tl_project', name);
            execute format('grant select on %I to tl_read', name);
        else
            execute format('grant select, insert, update, delete on %I to tl_append', name);
        end if;
    end loop;
end
$$;

grant select, insert, update, delete on all tables in schema views to tl_project;
grant select on all tables in schema views to tl_append, tl_read;

-- Views are made by whoever needs them first, and made anew by whoever rebuilds them.
do $$
declare
    maker text;
begin
    foreach maker in array array['tl_coordinator', 'tl_projector', current_user::text] loop
        execute format('alter default privileges for role %I in schema views'
                       ' grant select, insert, update, delete on tables to tl_project', maker);
        execute format('alter default privileges for role %I in schema views'
                       ' grant select on tables to tl_append, tl_read', maker);
    end loop;
end
$$;

-- Nobody logs in as the owner.
do $$
declare
    name text;
begin
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('alter table public.%I owner to tl_owner', name);
    end loop;
    for name in select viewname from pg_views where schemaname = 'public' loop
        execute format('alter view public.%I owner to tl_owner', name);
    end loop;
end
$$;

-- Who may log in is the API's business alone.
do $$
begin
    if to_regnamespace('identity') is not null then
        revoke all on schema identity from public;
        grant usage on schema identity to tl_api;
        grant select, insert, update, delete on all tables in schema identity to tl_api;
    end if;
end
$$;

-- The keys of persons are for those who read and write what is theirs.
do $$
begin
    if to_regnamespace('keys') is not null then
        revoke all on schema keys from public;
        revoke all on all tables in schema keys from public;
        grant usage on schema keys to tl_keys;
        grant select, insert on all tables in schema keys to tl_keys;
    end if;
end
$$;
