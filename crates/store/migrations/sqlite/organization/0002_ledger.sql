-- What the log says about itself: its keys, the roots of its full tiles, its signed heads, and what witnesses added.
create table audit_key (
    organization_id text not null, generation integer not null, verifier_key text not null, created_at integer not null,
    primary key (organization_id, generation)
) without rowid;
create table audit_node (
    organization_id text not null, level integer not null, position integer not null, hash text not null,
    primary key (organization_id, level, position)
) without rowid;
create table audit_checkpoint (
    organization_id text not null, size integer not null, root text not null, generation integer not null,
    note text not null, at integer not null, primary key (organization_id, size)
);
create index audit_checkpoint_generation on audit_checkpoint (organization_id, generation, size);
create table audit_cosignature (
    organization_id text not null, size integer not null, witness text not null, line text not null, at integer not null,
    primary key (organization_id, size, witness)
);
