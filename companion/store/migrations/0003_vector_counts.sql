-- How many vectors of a model ever came and went: who holds codes in memory looks here for what is new.

alter table models add column added integer not null default 0;
alter table models add column removed integer not null default 0;
update models set added = (select count(*) from vectors where model_id = models.id);

create trigger vectors_added after insert on vectors begin
    update models set added = added + 1 where id = new.model_id;
end;

create trigger vectors_removed after delete on vectors begin
    update models set removed = removed + 1 where id = old.model_id;
end;

create trigger vectors_replaced after update on vectors begin
    update models set removed = removed + 1 where id = old.model_id;
    update models set added = added + 1 where id = new.model_id;
end;
