-- The library as servers list it, files by their content, what the stages found, and the requests to scan.

create table servers (
    id integer primary key,
    kind text not null,
    name text not null unique,
    address text not null default '',
    created_at_ms integer not null
) strict;

create table libraries (
    id integer primary key,
    server_id integer not null references servers on delete cascade,
    external_id text not null,
    name text not null,
    kind text not null check (kind in ('movies', 'shows', 'home_videos', 'music_videos', 'mixed')),
    gone_at_ms integer,
    unique (server_id, external_id)
) strict;

-- The folders that a library lies in. Everything below one is [below, beyond) in the order of bytes.
-- away: in words, why it cannot be looked into now; then nothing below it counts as gone.
create table roots (
    library_id integer not null references libraries on delete cascade,
    path blob not null,
    below blob not null,
    beyond blob not null,
    device integer not null,
    away text not null default '',
    away_at_ms integer,
    primary key (library_id, path)
) strict, without rowid;

create index roots_away on roots (below) where away <> '';

-- Folders and names that could not be listed the last time. Trouble with one video is in `paths`.
create table listing_problems (
    library_id integer not null references libraries on delete cascade,
    path blob not null,
    problem text not null,
    found_at_ms integer not null,
    primary key (library_id, path)
) strict, without rowid;

create table items (
    id integer primary key,
    public_id text not null unique,
    library_id integer not null references libraries on delete cascade,
    external_id text not null,
    kind text not null check (kind in ('movie', 'episode', 'home_video', 'music_video')),
    title text not null,
    show_title text not null default '',
    season integer,
    episode integer,
    year integer,
    added_at_ms integer not null,
    gone_at_ms integer,
    unique (library_id, external_id)
) strict;

create index items_by_show on items (show_title, season, episode) where show_title <> '';
create index items_newest on items (added_at_ms desc, id desc) where gone_at_ms is null;
create index items_newest_of_library on items (library_id, added_at_ms desc, id desc)
where gone_at_ms is null;

-- One video by its content. media is MediaInfo as JSON, null until it was probed.
create table files (
    id integer primary key,
    public_id text not null unique,
    fingerprint text not null unique,
    size integer not null,
    media text,
    first_seen_at_ms integer not null
) strict;

-- Where a file lies. path is what the operating system calls it, not always UTF-8.
create table paths (
    id integer primary key,
    path blob not null unique,
    file_id integer references files on delete set null,
    device integer not null,
    inode integer not null,
    size integer not null,
    mtime_ns integer not null,
    problem text not null default '',
    seen_at_ms integer not null,
    gone_at_ms integer
) strict;

create index paths_by_file on paths (file_id);
create index paths_by_stat on paths (inode, device, size, mtime_ns);
create index paths_with_problem on paths (seen_at_ms desc)
where problem <> '' and gone_at_ms is null;

-- Where files lie now and can be read, unless their folder is away.
create view places as
select id, file_id, path, exists (
    select 1 from roots
    where away <> '' and paths.path >= roots.below and paths.path < roots.beyond
) as away
from paths
where file_id is not null and gone_at_ms is null and problem = '';

create table parts (
    item_id integer not null references items on delete cascade,
    path_id integer not null references paths on delete cascade,
    version integer not null default 0,
    part integer not null default 0,
    primary key (item_id, path_id)
) strict, without rowid;

create index parts_by_path on parts (path_id);

-- Subtitle files beside a video.
create table side_files (
    path_id integer not null references paths on delete cascade,
    path blob not null,
    language text not null,
    forced integer not null check (forced in (0, 1)),
    hearing_impaired integer not null check (hearing_impaired in (0, 1)),
    size integer not null,
    mtime_ns integer not null,
    primary key (path_id, path)
) strict, without rowid;

create table stage_results (
    file_id integer not null references files on delete cascade,
    stage text not null,
    version integer not null,
    model text not null,
    inputs text not null,
    state text not null check (state in ('done', 'failed')),
    reason text not null default '',
    note text not null default '',
    permanent integer not null default 0 check (permanent in (0, 1)),
    attempts integer not null,
    finished_at_ms integer not null,
    cpu_ms integer not null,
    primary key (file_id, stage)
) strict, without rowid;

create index stage_results_failed on stage_results (state, finished_at_ms) where state = 'failed';

-- Findings of a picture pass that is not finished: a restart goes on at the last until_ms.
create table chunks (
    file_id integer not null references files on delete cascade,
    number integer not null,
    signature text not null,
    until_ms integer not null,
    findings blob not null,
    primary key (file_id, number)
) strict;

-- Where the sidecar of a file was written last.
create table sidecars (
    file_id integer primary key references files on delete cascade,
    path blob not null,
    written_at_ms integer not null
) strict;

create table shots (
    file_id integer not null references files on delete cascade,
    start_ms integer not null,
    end_ms integer not null,
    primary key (file_id, start_ms)
) strict, without rowid;

create table scenes (
    id integer primary key,
    file_id integer not null references files on delete cascade,
    number integer not null,
    start_ms integer not null,
    end_ms integer not null,
    still_ms integer not null,
    provisional integer not null check (provisional in (0, 1)),
    unique (file_id, number)
) strict;

create index scenes_by_time on scenes (file_id, start_ms);

create table lines (
    id integer primary key,
    file_id integer not null references files on delete cascade,
    start_ms integer not null,
    end_ms integer not null,
    text text not null,
    language text not null,
    source text not null check (source in ('subtitle', 'speech')),
    words text not null default ''
) strict;

create index lines_by_time on lines (file_id, start_ms);

-- Words of each scene (rowid = scenes.id), folded and cut into terms by companion.store.words: all
-- that is left for the tokenizer is to cut at spaces.
create virtual table scene_words using fts5 (
    spoken, onscreen, content = '', contentless_delete = 1, tokenize = 'ascii'
);

create virtual table item_words using fts5 (
    title, content = '', contentless_delete = 1, tokenize = 'ascii'
);

-- Ids are given again: what is forgotten must not leave its words to the next one.
create trigger scenes_forgotten after delete on scenes begin
    delete from scene_words where rowid = old.id;
end;

create trigger items_forgotten after delete on items begin
    delete from item_words where rowid = old.id;
end;

create table models (
    id integer primary key,
    identity text not null unique,
    role text not null,
    dims integer not null
) strict;

-- v: float32 in sqlite-vec's format, each number one that float16 can hold. code: the signs of v as
-- bits, by which the nearest rows are looked for before their exact distances are taken.
create table vectors (
    id integer primary key,
    model_id integer not null references models on delete cascade,
    scene_id integer not null references scenes on delete cascade,
    part integer not null,
    code blob not null,
    v blob not null
) strict;

create unique index vectors_by_scene on vectors (scene_id, model_id, part);
create index vectors_by_code on vectors (model_id, scene_id, code);

-- An id is never given again: who has lost a job must not end a later one.
create table jobs (
    id integer primary key autoincrement,
    file_id integer not null references files on delete cascade,
    runs text not null check (runs in ('words', 'picture', 'speech', 'meaning')),
    state text not null check (state in ('waiting', 'running', 'failed')),
    priority integer not null,
    attempts integer not null default 0,
    reason text not null default '',
    created_at_ms integer not null,
    started_at_ms integer,
    lease_until_ms integer,
    done_ms integer not null default 0,
    total_ms integer not null default 0,
    added_at_ms integer not null default 0, -- when the newest item of the file came
    turn integer not null generated always as (
        case runs when 'words' then 0 when 'meaning' then 1 else 2 end
    ) virtual,
    step integer not null generated always as (case runs when 'picture' then 1 else 0 end) virtual,
    unique (file_id, runs)
) strict;

-- The words of all files first, meaning as soon as it can be had, then file by file.
create index jobs_by_turn on jobs (
    state, priority desc, turn, added_at_ms desc, file_id desc, step, created_at_ms, id
);

create table accounts (
    id integer primary key,
    name text not null unique,
    role text not null check (role in ('owner', 'member')),
    password_hash text not null,
    created_at_ms integer not null
) strict;

create table sessions (
    token_hash blob primary key,
    account_id integer not null references accounts on delete cascade,
    created_at_ms integer not null,
    expires_at_ms integer not null
) strict, without rowid;

-- What pages change. The value is JSON.
create table settings (
    key text primary key,
    value text not null
) strict, without rowid;
