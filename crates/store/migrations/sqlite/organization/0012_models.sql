-- Tokens of the organization's language model, by day (days since 1970-01-01, UTC).
create table model_use (
    organization_id text not null, day integer not null, tokens integer not null,
    primary key (organization_id, day)
) without rowid;
