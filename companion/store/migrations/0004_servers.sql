-- Media servers with accounts: how they are reached, who people are there, what they say of items.

-- token: the daemon's own, sealed by companion.vault. identity: what the server calls itself.
-- mappings: [[server prefix, local prefix in hexadecimal], ...] as JSON. libraries: external ids as
-- JSON, [] for all.
create table connections (
    server_id integer primary key references servers on delete cascade,
    url text not null,
    public_url text not null default '',
    identity text not null,
    version text not null default '',
    account_id text not null default '',
    account_name text not null default '',
    token blob,
    mappings text not null default '[]',
    libraries text not null default '[]',
    authority text not null default '',
    listed_at_ms integer not null default 0, -- when everything was listed last, to the end
    ask_from_ms integer not null default 0, -- by the server's clock: changes before are known
    counted integer not null default -1 -- items that the server had then
) strict;

create unique index connections_by_identity on connections (identity);

-- Who an account is on a server. token: that person's, sealed.
create table identities (
    server_id integer not null references servers on delete cascade,
    external_id text not null,
    account_id integer not null references accounts on delete cascade,
    name text not null,
    is_admin integer not null check (is_admin in (0, 1)),
    token blob,
    signed_in_at_ms integer not null,
    primary key (server_id, external_id)
) strict, without rowid;

create index identities_by_account on identities (account_id);

-- Programs that ask in somebody's name. scope: search, or all that the account may do.
create table tokens (
    id integer primary key,
    account_id integer not null references accounts on delete cascade,
    name text not null,
    hash blob not null unique,
    scope text not null check (scope in ('search', 'all')),
    created_at_ms integer not null,
    expires_at_ms integer,
    used_at_ms integer
) strict;

-- facts: all that a server says of an item beside what has a column, as JSON.
alter table items add column facts text not null default '';
alter table parts add column external_id text not null default '';

-- The same facts, one a row, for search and for people.
create table credits (
    item_id integer not null references items on delete cascade,
    number integer not null,
    name text not null,
    kind text not null,
    person_id text not null,
    role text not null,
    portrait text not null,
    primary key (item_id, number)
) strict, without rowid;

create index credits_by_person on credits (person_id, name);

create table genres (
    item_id integer not null references items on delete cascade,
    name text not null,
    primary key (item_id, name)
) strict, without rowid;

create table labels ( -- what a server calls tags
    item_id integer not null references items on delete cascade,
    name text not null,
    primary key (item_id, name)
) strict, without rowid;

create table watched (
    account_id integer not null references accounts on delete cascade,
    item_id integer not null references items on delete cascade,
    played integer not null check (played in (0, 1)),
    position_ms integer not null,
    primary key (account_id, item_id)
) strict, without rowid;
