-- How ready a certification was found, each time that changed.
create table readiness (
    organization_id text not null, certification_id text not null, version integer not null, at integer not null,
    score integer not null, verdict text not null, open_gaps integer not null, open_blockers integer not null,
    primary key (organization_id, certification_id, version)
) without rowid;
-- Decisions on actions, and signed heads, by time.
create index audit_entry_decision on audit_entry (organization_id, at)
    where kind in ('approved', 'rejected', 'broken_glass', 'expired');
create index audit_checkpoint_at on audit_checkpoint (organization_id, at, size);
