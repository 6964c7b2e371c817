//! What only several nodes on PostgreSQL have: row-level security against hand-written SQL, roles that are refused, one
//! order of writes over nodes, a server that goes away, the rules of the schema.

use std::sync::Arc;

use store::{Fault, Store};
use testkit::postgres::{APP, Database, OWNER};
use testkit::records::{draft, organization, release, team};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::place::{Place, Sevens, creates, one_org};

/// A client, and the task that carries its messages.
async fn client(database: &Database, role: &str) -> (Client, JoinSet<()>) {
    let (client, connection) = tokio_postgres::connect(&database.url(role), NoTls).await.unwrap();
    let mut carrier = JoinSet::new();
    carrier.spawn(async { connection.await.unwrap() });
    (client, carrier)
}

/// Tables that are read before an organization is known.
const DIRECTORY: &[&str] = &[
    "app_user",
    "bearer_token",
    "begun_sign_in",
    "browser_session",
    "identity_link",
    "identity_provider",
    "identity_provider_domain",
    "lease",
    "member",
    "oauth_assertion",
    "oauth_client",
    "oauth_code",
    "oauth_grant",
    "oauth_key",
    "oauth_refresh",
    "organization",
    "schema_migration",
    "secret",
];

async fn organization_tables(client: &Client) -> Vec<String> {
    let rows = client
        .query(
            "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'public' and c.relkind in ('r', 'p') order by 1",
            &[],
        )
        .await
        .unwrap();
    let all = rows.iter().map(|row| row.get::<_, String>(0));
    all.filter(|name| !DIRECTORY.contains(&name.as_str())).collect()
}

#[tokio::test]
async fn the_serving_role_reaches_no_other_organization_by_hand_written_sql() {
    let place = Place::postgres().await;
    let store = place.open().await;
    for n in [1, 2] {
        let mut write = creates(n + 10);
        write.audit(draft(n));
        write.effect(&domain::effect::Effect::CreateRelease { record: release(n) });
        one_org(&store, n).await.commit(write).await.unwrap();
    }
    let (client, _carrier) = client(place.database.as_ref().unwrap(), APP).await;
    let (one, two) = (organization(1).id.to_string(), organization(2).id.to_string());

    for table in organization_tables(&client).await {
        let seen = client.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap();
        assert_eq!(seen.get::<_, i64>(0), 0, "{table} is visible without an organization");
    }

    client.batch_execute(&format!("set loopiq.organization = '{one}'")).await.unwrap();
    for table in organization_tables(&client).await {
        let foreign = format!("select count(*) from {table} where organization_id <> '{one}'");
        let seen = client.query_one(&foreign, &[]).await.unwrap();
        assert_eq!(seen.get::<_, i64>(0), 0, "{table} shows another organization");
    }
    let own = client.query_one("select count(*) from team", &[]).await.unwrap();
    assert_eq!(own.get::<_, i64>(0), 1, "the test would see something if it could");

    for attack in [
        format!("insert into team values ('{two}', 'team_x', 1, 'x', '{{}}')"),
        format!("update team set organization_id = '{two}'"),
    ] {
        let error = client.batch_execute(&attack).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{attack}");
    }
    let gone = client.execute(&format!("delete from team where organization_id = '{two}'"), &[]).await;
    assert_eq!(gone.unwrap(), 0);
    for attack in [
        "update audit_entry set entry = '{}'",
        "delete from audit_entry",
        "update audit_body set body = '{}'",
        "truncate audit_subject",
        "update audit_checkpoint set note = ''",
        "delete from audit_checkpoint",
        "delete from audit_node",
        "update audit_key set verifier_key = ''",
        "delete from audit_cosignature",
        "alter table team disable row level security",
        "alter table team no force row level security",
        "drop policy one_organization on team",
        "update schema_migration set checksum = ''",
    ] {
        let error = client.batch_execute(attack).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{attack}");
    }
    let erased = client.execute("delete from audit_body", &[]).await.unwrap();
    assert_eq!(erased, 0, "no record of the log says that a body is erased");
    let two = store.org(organization(2).id).await.unwrap();
    assert_eq!(two.reader().teams(None).await.unwrap(), vec![team(12)]);
}

#[tokio::test]
async fn roles_that_could_see_past_the_separation_do_not_serve() {
    let place = Place::postgres().await;
    let owner = Store::connect(place.config(OWNER), Arc::new(Sevens)).await;
    assert!(matches!(owner, Err(Fault::UnsafeRole { why: "owns the tables", .. })));
    let database = place.database.as_ref().unwrap();
    database
        .run(
            "postgres",
            "do $$ begin create role loopiq_super superuser login password 'loopiq_super';
        exception when duplicate_object or unique_violation then null; end $$",
        )
        .await;
    let superuser = Store::connect(place.config("loopiq_super"), Arc::new(Sevens)).await;
    assert!(matches!(superuser, Err(Fault::UnsafeRole { .. })));
}

#[tokio::test]
async fn a_schema_of_another_version_is_refused_and_migrating_twice_changes_nothing() {
    let place = Place::postgres().await;
    assert_eq!(store::migrate(&place.config(OWNER), APP, true).await.unwrap().applied, 0);
    let database = place.database.as_ref().unwrap();
    database.run(&database.name, "insert into schema_migration values (99, 'future', 'x', 0)").await;
    assert!(place.try_open().await.is_ok(), "what only added does no harm");
    database.run(&database.name, "update schema_migration set oldest = 98 where number = 99").await;
    assert!(matches!(place.try_open().await, Err(Fault::NewerSchema { found: 99, .. })));
    database
        .run(
            &database.name,
            "delete from schema_migration where number = 99; update schema_migration set checksum = 'x'",
        )
        .await;
    assert!(matches!(place.try_open().await, Err(Fault::ChangedMigration { number: 1, .. })));
    database.run(&database.name, "delete from schema_migration").await;
    assert!(matches!(place.try_open().await, Err(Fault::NotMigrated { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_migrators_at_once_apply_everything_once() {
    let database = Database::fresh().await;
    let place = Place::of(database);
    let (one, two) = (place.config(OWNER), place.config(OWNER));
    let (one, two) = tokio::join!(store::migrate(&one, APP, false), store::migrate(&two, APP, false));
    let mut applied = [one.unwrap().applied, two.unwrap().applied];
    applied.sort_unstable();
    assert_eq!(applied[0], 0);
    assert!(applied[1] > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_write_one_log_without_a_hole() {
    let place = Place::postgres().await;
    let nodes = [place.open().await, place.open().await];
    one_org(&nodes[0], 1).await;
    let mut tasks = JoinSet::new();
    for n in 0..200_u64 {
        let org = nodes[(n % 2) as usize].org(organization(1).id).await.unwrap();
        tasks.spawn(async move {
            // Every fifth repeats a team of its neighbour, and one of the two fails.
            let mut write = creates(100 + n - n % 5 / 4);
            write.audit(draft(n));
            org.commit(write).await.is_ok()
        });
    }
    let mut succeeded = 0;
    while let Some(done) = tasks.join_next().await {
        succeeded += i64::from(done.unwrap());
    }
    assert_eq!(succeeded, 160);
    let report =
        nodes[0].org(organization(1).id).await.unwrap().reader().verify_log(&mut |_| {}).await.unwrap();
    assert_eq!((report.size, report.problems), (succeeded, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_under_load_lose_and_double_nothing() {
    let place = Place::postgres().await;
    let store = place.open().await;
    let org = one_org(&store, 1).await;
    let database = place.database.clone().unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..8_u64 {
        let org = org.clone();
        tasks.spawn(async move {
            let mut acknowledged = Vec::new();
            for k in 0..40 {
                let number = 1_000 + n * 100 + k;
                let mut write = creates(number);
                write.audit(draft(number));
                // An answer that was lost with the connection is asked again, as a caller would.
                match org.commit(write).await {
                    Ok(_) => acknowledged.push(number),
                    Err(store::CommitError::Conflict(_)) => panic!("a team of its own cannot be there"),
                    Err(store::CommitError::Fault(_)) => {}
                }
            }
            acknowledged
        });
    }
    // Its own connections only: other tests use the same server.
    let cut = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{APP}' and datname = '{}'",
        database.name
    );
    let mut cuts = 0;
    let mut acknowledged = Vec::new();
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(done) => acknowledged.extend(done.unwrap()),
                None => break,
            },
            () = database.run("postgres", &cut), if cuts < 20 => cuts += 1,
        }
    }
    let teams = org.reader().teams(None).await.unwrap();
    let ids: std::collections::HashSet<_> = teams.iter().map(|t| t.id).collect();
    assert_eq!(ids.len(), teams.len());
    for number in &acknowledged {
        assert!(ids.contains(&team(*number).id), "team {number} was acknowledged and is gone");
    }
    assert!(!acknowledged.is_empty() && cuts > 0);
    let report = org.reader().verify_log(&mut |_| {}).await.unwrap();
    assert_eq!((report.size, report.problems), (teams.len() as i64, Vec::new()), "one record for each team");
}

/// What keeps the way to a database spread by organization open: the organization first in every key, no sequences, no
/// reference that could cross organizations, and row-level security forced on every table of records.
#[tokio::test]
async fn the_schema_can_be_spread_by_organization() {
    let place = Place::postgres().await;
    let (client, _carrier) = client(place.database.as_ref().unwrap(), OWNER).await;
    let tables = organization_tables(&client).await;
    assert!(tables.len() >= 20, "{tables:?}");
    for table in &tables {
        let row = client
            .query_one(
                "select relrowsecurity and relforcerowsecurity,
                 (select count(*) from pg_policy p where p.polrelid = c.oid and p.polpermissive) = 1 from pg_class c
                 where oid = $1::text::regclass",
                &[table],
            )
            .await
            .unwrap();
        assert!(
            row.get::<_, bool>(0) && row.get::<_, bool>(1),
            "{table} is not held apart by row-level security"
        );
    }
    let keys = client
        .query(
            "select i.indrelid::regclass::text, i.indexrelid::regclass::text,
             (select a.attname::text from pg_attribute a where a.attrelid = i.indrelid and a.attnum = i.indkey[0])
             from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'public'",
            &[],
        )
        .await
        .unwrap();
    for key in keys {
        let (table, index, first): (String, String, String) = (key.get(0), key.get(1), key.get(2));
        assert!(!tables.contains(&table) || first == "organization_id", "{index} begins with {first}");
    }
    let sequences = client.query("select 1 from pg_class where relkind = 'S'", &[]).await.unwrap();
    assert!(sequences.is_empty(), "numbers of a sequence are one for all organizations");
    let references = client
        .query(
            "select conname::text from pg_constraint k where contype = 'f' and conrelid::regclass::text = any($1)
             and not exists (select 1 from pg_attribute a where a.attrelid = k.conrelid and a.attnum = k.conkey[1]
             and a.attname = 'organization_id')",
            &[&tables],
        )
        .await
        .unwrap();
    assert!(references.is_empty(), "{references:?} could cross organizations");
}
