-- The log by its sequence alone. A file holds one organization, whose id in every key made the trees of the log, to which
-- each write adds, twice as many and twice as wide. What statements ask for is the same as before.
alter table audit_entry rename to audit_entry_before;
alter table audit_body rename to audit_body_before;
alter table audit_subject rename to audit_subject_before;
create table audit_entry (
    sequence integer primary key, organization_id text not null, at integer not null, kind text not null,
    user_id text, action_id text, leaf_hash text not null, entry text not null
);
create table audit_body (
    sequence integer primary key, organization_id text not null, salt blob not null, body text not null
);
create table audit_subject (
    record_id text not null, sequence integer not null, organization_id text not null, primary key (record_id, sequence)
) without rowid;
insert into audit_entry (sequence, organization_id, at, kind, user_id, action_id, leaf_hash, entry)
    select sequence, organization_id, at, kind, user_id, action_id, leaf_hash, entry from audit_entry_before
    order by sequence;
insert into audit_body (sequence, organization_id, salt, body)
    select sequence, organization_id, salt, body from audit_body_before order by sequence;
insert into audit_subject (record_id, sequence, organization_id)
    select record_id, sequence, organization_id from audit_subject_before;
drop table audit_entry_before;
drop table audit_body_before;
drop table audit_subject_before;
create index audit_entry_action on audit_entry (action_id) where action_id is not null;
create index audit_entry_decision on audit_entry (at)
    where kind in ('approved', 'rejected', 'broken_glass', 'expired');
