-- The log by its sequence alone. A file holds one organization, whose id in every key made the trees of the log, to which
-- each write adds, twice as many and twice as wide. What statements ask for is the same as before.
alter table audit_entry rename to audit_entry_before;
alter table audit_body rename to audit_body_before;
alter table audit_subject rename to audit_subject_before;
create table audit_entry (
    organization_id text not null, sequence integer primary key, at integer not null, kind text not null,
    user_id text, action_id text, leaf_hash text not null, entry text not null
);
create table audit_body (
    organization_id text not null, sequence integer primary key, salt blob not null, body text not null
);
create table audit_subject (
    organization_id text not null, record_id text not null, sequence integer not null, primary key (record_id, sequence)
) without rowid;
insert into audit_entry select * from audit_entry_before order by sequence;
insert into audit_body select * from audit_body_before order by sequence;
insert into audit_subject select * from audit_subject_before;
drop table audit_entry_before;
drop table audit_body_before;
drop table audit_subject_before;
create index audit_entry_action on audit_entry (action_id) where action_id is not null;
create index audit_entry_decision on audit_entry (at)
    where kind in ('approved', 'rejected', 'broken_glass', 'expired');
