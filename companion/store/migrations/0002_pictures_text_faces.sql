-- What the picture shows: tags, vectors of frames, on-screen text, faces through a shot.

alter table vectors add column at_ms integer;  -- the frame of a picture vector; null for text

create table tags (
    scene_id integer not null references scenes on delete cascade,
    name text not null,
    score real not null,
    at_ms integer not null,
    primary key (scene_id, name)
) strict, without rowid;

create index tags_by_name on tags (name, score desc);

create table onscreen_texts (
    id integer primary key,
    file_id integer not null references files on delete cascade,
    start_ms integer not null,
    end_ms integer not null,
    text text not null,
    x real not null,
    y real not null,
    width real not null,
    height real not null,
    score real not null,
    subtitle integer not null check (subtitle in (0, 1))
) strict;

create index onscreen_texts_by_time on onscreen_texts (file_id, start_ms);

-- The same face through a shot. boxes is JSON: [[at_ms, x, y, width, height], ...].
-- v: float32 in sqlite-vec's format, empty and without a model if it is too poor to be named;
-- reject says why.
create table tracks (
    id integer primary key,
    file_id integer not null references files on delete cascade,
    model_id integer references models on delete cascade,
    start_ms integer not null,
    end_ms integer not null,
    frame_count integer not null,
    boxes text not null,
    quality real not null,
    best_ms integer not null,
    thumbnail text not null,
    reject text not null,
    v blob not null
) strict;

create index tracks_by_time on tracks (file_id, start_ms);
