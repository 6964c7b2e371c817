-- The directory: read before an organization is known. No record of an organization is here.
create table organization (
    id text collate "C" primary key,
    slug text collate "C" not null unique,
    version bigint not null,
    document text collate "C" not null
);
create table app_user (
    id text collate "C" primary key,
    email_folded text collate "C" not null unique,
    status text collate "C" not null,
    version bigint not null,
    password_hash text collate "C",
    selected_organization_id text collate "C",
    document text collate "C" not null
);
create table member (
    user_id text collate "C" not null references app_user (id),
    organization_id text collate "C" not null references organization (id),
    primary key (user_id, organization_id)
);
create table bearer_token (
    id text collate "C" primary key,
    organization_id text collate "C" not null references organization (id),
    user_id text collate "C" not null references app_user (id),
    hash text collate "C" not null unique,
    label text collate "C" not null,
    scopes text collate "C" not null,
    created_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint,
    last_used_at bigint
);
create index bearer_token_organization on bearer_token (organization_id, id);
create table browser_session (
    id text collate "C" primary key,
    hash text collate "C" not null unique,
    user_id text collate "C" not null references app_user (id),
    organization_id text collate "C" references organization (id),
    csrf text collate "C" not null,
    created_at bigint not null,
    last_seen_at bigint not null,
    expires_at bigint not null
);
create index browser_session_user on browser_session (user_id);
create table lease (
    name text collate "C" primary key,
    holder text collate "C" not null,
    held_until bigint not null
);
create table secret (
    name text collate "C" primary key,
    value bytea not null
);

-- Records. The organization is first in every key, and no row of another one can be seen or written.
create table team (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, name text collate "C" not null,
    document text collate "C" not null, primary key (organization_id, id)
);
create unique index team_name on team (organization_id, name);
create table membership (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, document text collate "C" not null,
    primary key (organization_id, id)
);
create table component (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, document text collate "C" not null,
    primary key (organization_id, id)
);
create table control (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, position bigint not null,
    code text collate "C" not null, framework text collate "C" not null, document text collate "C" not null, primary key (organization_id, id)
);
create unique index control_code on control (organization_id, framework, code);
create table release (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, team_id text collate "C" not null,
    status text collate "C" not null, name_folded text collate "C" not null, document text collate "C" not null, primary key (organization_id, id)
);
create unique index release_name on release (organization_id, name_folded);
create table certification (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    team_id text collate "C" not null, status text collate "C" not null, reviewers text collate "C" not null, document text collate "C" not null,
    primary key (organization_id, id), foreign key (organization_id, release_id) references release (organization_id, id)
);
create index certification_release on certification (organization_id, release_id, id);
create table control_result (
    organization_id text collate "C" not null, certification_id text collate "C" not null, control_id text collate "C" not null,
    document text collate "C" not null, primary key (organization_id, certification_id, control_id)
);
create table evidence (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    team_id text collate "C" not null, control_id text collate "C", type text collate "C" not null, is_current bigint not null,
    valid_until bigint not null, sha256 text collate "C" not null, superseded_by text collate "C", document text collate "C" not null,
    primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create index evidence_release on evidence (organization_id, release_id, id);
create table evidence_gap (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    certification_id text collate "C" not null, team_id text collate "C" not null, control_id text collate "C" not null, reason text collate "C" not null,
    severity text collate "C" not null, status text collate "C" not null, blocking bigint not null, work_item_ids text collate "C" not null,
    resolved_at bigint, updated_at bigint not null, document text collate "C" not null, primary key (organization_id, id)
);
create index evidence_gap_release on evidence_gap (organization_id, release_id, id);
create index evidence_gap_certification on evidence_gap (organization_id, certification_id, id);
create table finding (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    team_id text collate "C" not null, provider text collate "C" not null, external_id text collate "C" not null, severity text collate "C" not null,
    status text collate "C" not null, blocking bigint not null, work_item_ids text collate "C" not null, evidence_id text collate "C" not null,
    last_seen_at bigint not null, updated_at bigint not null, document text collate "C" not null,
    primary key (organization_id, id)
);
create unique index finding_external on finding (organization_id, release_id, provider, external_id);
create index finding_release on finding (organization_id, release_id, id);
create table risk (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    team_id text collate "C" not null, status text collate "C" not null, document text collate "C" not null, primary key (organization_id, id)
);
create table exception_record (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    team_id text collate "C" not null, document text collate "C" not null, primary key (organization_id, id)
);
create table work_item (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, team_id text collate "C" not null,
    release_id text collate "C", parent_id text collate "C", type text collate "C" not null, status text collate "C" not null, document text collate "C" not null,
    primary key (organization_id, id)
);
create index work_item_release on work_item (organization_id, release_id, id);
create index work_item_parent on work_item (organization_id, parent_id, id);
create table remediation_work_package (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, release_id text collate "C" not null,
    document text collate "C" not null, primary key (organization_id, id)
);
create table action (
    organization_id text collate "C" not null, id text collate "C" not null, version bigint not null, approval_id text collate "C" not null,
    requester_id text collate "C" not null, tool text collate "C" not null, idempotency_key text collate "C" not null, state text collate "C" not null,
    team_id text collate "C", due_at bigint not null, receipt_sequence bigint, receipt_leaf text collate "C", receipt_at bigint,
    document text collate "C" not null, primary key (organization_id, id)
);
create unique index action_key on action (organization_id, requester_id, tool, idempotency_key);
create unique index action_approval on action (organization_id, approval_id);
create index action_due on action (organization_id, state, due_at);
create table audit_head (
    organization_id text collate "C" primary key, size bigint not null
);
create table audit_entry (
    organization_id text collate "C" not null, sequence bigint not null, at bigint not null, kind text collate "C" not null,
    user_id text collate "C", action_id text collate "C", leaf_hash text collate "C" not null, entry text collate "C" not null,
    primary key (organization_id, sequence)
);
create index audit_entry_action on audit_entry (organization_id, action_id, sequence);
create table audit_body (
    organization_id text collate "C" not null, sequence bigint not null, salt bytea not null, body text collate "C" not null,
    primary key (organization_id, sequence)
);
create table audit_subject (
    organization_id text collate "C" not null, record_id text collate "C" not null, sequence bigint not null,
    primary key (organization_id, record_id, sequence)
);
create table search_text (
    organization_id text collate "C" not null, record_type text collate "C" not null, id text collate "C" not null, team_id text collate "C" not null,
    title text collate "C" not null, folded text collate "C" not null, status text collate "C", primary key (organization_id, record_type, id)
);

alter table team enable row level security;
alter table team force row level security;
create policy one_organization on team
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table membership enable row level security;
alter table membership force row level security;
create policy one_organization on membership
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table component enable row level security;
alter table component force row level security;
create policy one_organization on component
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table control enable row level security;
alter table control force row level security;
create policy one_organization on control
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table release enable row level security;
alter table release force row level security;
create policy one_organization on release
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table certification enable row level security;
alter table certification force row level security;
create policy one_organization on certification
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table control_result enable row level security;
alter table control_result force row level security;
create policy one_organization on control_result
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table evidence enable row level security;
alter table evidence force row level security;
create policy one_organization on evidence
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table evidence_gap enable row level security;
alter table evidence_gap force row level security;
create policy one_organization on evidence_gap
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table finding enable row level security;
alter table finding force row level security;
create policy one_organization on finding
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table risk enable row level security;
alter table risk force row level security;
create policy one_organization on risk
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table exception_record enable row level security;
alter table exception_record force row level security;
create policy one_organization on exception_record
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table work_item enable row level security;
alter table work_item force row level security;
create policy one_organization on work_item
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table remediation_work_package enable row level security;
alter table remediation_work_package force row level security;
create policy one_organization on remediation_work_package
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table action enable row level security;
alter table action force row level security;
create policy one_organization on action
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table audit_head enable row level security;
alter table audit_head force row level security;
create policy one_organization on audit_head
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table audit_entry enable row level security;
alter table audit_entry force row level security;
create policy one_organization on audit_entry
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table audit_body enable row level security;
alter table audit_body force row level security;
create policy one_organization on audit_body
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table audit_subject enable row level security;
alter table audit_subject force row level security;
create policy one_organization on audit_subject
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
alter table search_text enable row level security;
alter table search_text force row level security;
create policy one_organization on search_text
    using (organization_id = current_setting('loopiq.organization', true))
    with check (organization_id = current_setting('loopiq.organization', true));
