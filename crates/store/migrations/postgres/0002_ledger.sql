-- What the log says about itself: its keys, the roots of its full tiles, its signed heads, and what witnesses added.
create table audit_key (
    organization_id text collate "C" not null, generation bigint not null, verifier_key text collate "C" not null, created_at bigint not null,
    primary key (organization_id, generation)
);
create table audit_node (
    organization_id text collate "C" not null, level bigint not null, position bigint not null, hash text collate "C" not null,
    primary key (organization_id, level, position)
);
create table audit_checkpoint (
    organization_id text collate "C" not null, size bigint not null, root text collate "C" not null, generation bigint not null,
    note text collate "C" not null, at bigint not null, primary key (organization_id, size)
);
create index audit_checkpoint_generation on audit_checkpoint (organization_id, generation, size);
create table audit_cosignature (
    organization_id text collate "C" not null, size bigint not null, witness text collate "C" not null, line text collate "C" not null,
    at bigint not null, primary key (organization_id, size, witness)
);

alter table audit_key enable row level security;
alter table audit_key force row level security;
create policy one_organization on audit_key
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table audit_node enable row level security;
alter table audit_node force row level security;
create policy one_organization on audit_node
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table audit_checkpoint enable row level security;
alter table audit_checkpoint force row level security;
create policy one_organization on audit_checkpoint
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table audit_cosignature enable row level security;
alter table audit_cosignature force row level security;
create policy one_organization on audit_cosignature
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));

-- The role that serves may take away the body of a record once the log has a record that says so, and no other.
create policy erased_on_record on audit_body as restrictive for delete
    using (exists (select 1 from audit_subject s
        join audit_entry e on e.organization_id = s.organization_id and e.sequence = s.sequence
        where s.organization_id = audit_body.organization_id and s.record_id = audit_body.sequence::text
        and e.kind = 'erased'));
