-- How ready a certification was found, each time that changed.
create table readiness (
    organization_id text collate "C" not null, certification_id text collate "C" not null, version bigint not null,
    at bigint not null, score bigint not null, verdict text collate "C" not null, open_gaps bigint not null,
    open_blockers bigint not null,
    primary key (organization_id, certification_id, version)
);
alter table readiness enable row level security;
alter table readiness force row level security;
create policy one_organization on readiness
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
-- Decisions on actions, and signed heads, by time.
create index audit_entry_decision on audit_entry (organization_id, at)
    where kind in ('approved', 'rejected', 'broken_glass', 'expired');
create index audit_checkpoint_at on audit_checkpoint (organization_id, at, size);
