create table team (
    organization_id text not null, id text not null, version integer not null, name text not null,
    document text not null, primary key (organization_id, id)
);
create unique index team_name on team (organization_id, name);
create table membership (
    organization_id text not null, id text not null, version integer not null, document text not null,
    primary key (organization_id, id)
);
create table component (
    organization_id text not null, id text not null, version integer not null, document text not null,
    primary key (organization_id, id)
);
create table control (
    organization_id text not null, id text not null, version integer not null, position integer not null,
    code text not null, framework text not null, document text not null, primary key (organization_id, id)
);
create unique index control_code on control (organization_id, framework, code);
create table release (
    organization_id text not null, id text not null, version integer not null, team_id text not null,
    status text not null, name_folded text not null, document text not null, primary key (organization_id, id)
);
create unique index release_name on release (organization_id, name_folded);
create table certification (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    team_id text not null, status text not null, reviewers text not null, document text not null,
    primary key (organization_id, id), foreign key (organization_id, release_id) references release (organization_id, id)
);
create index certification_release on certification (organization_id, release_id, id);
create table control_result (
    organization_id text not null, certification_id text not null, control_id text not null,
    document text not null, primary key (organization_id, certification_id, control_id)
) without rowid;
create table evidence (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    team_id text not null, control_id text, type text not null, is_current integer not null,
    valid_until integer not null, sha256 text not null, superseded_by text, document text not null,
    primary key (organization_id, id),
    foreign key (organization_id, release_id) references release (organization_id, id)
);
create index evidence_release on evidence (organization_id, release_id, id);
create table evidence_gap (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    certification_id text not null, team_id text not null, control_id text not null, reason text not null,
    severity text not null, status text not null, blocking integer not null, work_item_ids text not null,
    resolved_at integer, updated_at integer not null, document text not null, primary key (organization_id, id)
);
create index evidence_gap_release on evidence_gap (organization_id, release_id, id);
create index evidence_gap_certification on evidence_gap (organization_id, certification_id, id);
create table finding (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    team_id text not null, provider text not null, external_id text not null, severity text not null,
    status text not null, blocking integer not null, work_item_ids text not null, evidence_id text not null,
    last_seen_at integer not null, updated_at integer not null, document text not null,
    primary key (organization_id, id)
);
create unique index finding_external on finding (organization_id, release_id, provider, external_id);
create index finding_release on finding (organization_id, release_id, id);
create table risk (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    team_id text not null, status text not null, document text not null, primary key (organization_id, id)
);
create table exception_record (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    team_id text not null, document text not null, primary key (organization_id, id)
);
create table work_item (
    organization_id text not null, id text not null, version integer not null, team_id text not null,
    release_id text, parent_id text, type text not null, status text not null, document text not null,
    primary key (organization_id, id)
);
create index work_item_release on work_item (organization_id, release_id, id);
create index work_item_parent on work_item (organization_id, parent_id, id);
create table remediation_work_package (
    organization_id text not null, id text not null, version integer not null, release_id text not null,
    document text not null, primary key (organization_id, id)
);
create table action (
    organization_id text not null, id text not null, version integer not null, approval_id text not null,
    requester_id text not null, tool text not null, idempotency_key text not null, state text not null,
    team_id text, due_at integer not null, receipt_sequence integer, receipt_leaf text, receipt_at integer,
    document text not null, primary key (organization_id, id)
);
create unique index action_key on action (organization_id, requester_id, tool, idempotency_key);
create unique index action_approval on action (organization_id, approval_id);
create index action_due on action (organization_id, state, due_at);
create table audit_head (
    organization_id text primary key, size integer not null
) without rowid;
create table audit_entry (
    organization_id text not null, sequence integer not null, at integer not null, kind text not null,
    user_id text, action_id text, leaf_hash text not null, entry text not null,
    primary key (organization_id, sequence)
);
create index audit_entry_action on audit_entry (organization_id, action_id, sequence);
create table audit_body (
    organization_id text not null, sequence integer not null, salt blob not null, body text not null,
    primary key (organization_id, sequence)
);
create table audit_subject (
    organization_id text not null, record_id text not null, sequence integer not null,
    primary key (organization_id, record_id, sequence)
) without rowid;
create table search_text (
    organization_id text not null, record_type text not null, id text not null, team_id text not null,
    title text not null, folded text not null, status text, primary key (organization_id, record_type, id)
) without rowid;
