//! What each `sslmode` demands, towards a real server with a certificate of an authority made here.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use store::{Fault, PostgresConfig, Store};
use testkit::cluster::Server;

use crate::place::Sevens;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where their tools are")]
async fn an_encrypted_connection_is_one_to_a_server_that_is_known() {
    let programs = std::env::var("LOOPIQ_TEST_POSTGRES_BIN").unwrap();
    let (ours, other) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let server = Server::start_tls(Path::new(&programs), &certificate.pem(), &key.serialize_pem()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (known, unknown) = (file("ours.pem", ours.pem()), file("other.pem", other.pem()));
    let port = server.address().rsplit_once(':').unwrap().1.to_owned();

    let connects = async |host: &str, query: String| {
        let config = PostgresConfig {
            url: format!("postgres://postgres@{host}:{port}/postgres?{query}"),
            password: None,
            blobs_dir: folder.path().to_owned(),
            bucket: None,
            committers: 1,
            connections_max: 2,
        };
        match Store::connect(config, Arc::new(Sevens)).await.err().unwrap() {
            // It was reached: there is no schema in this database.
            Fault::NotMigrated { .. } => true,
            Fault::Open { .. } => false,
            other => panic!("{other:?}"),
        }
    };
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        assert!(connects("localhost", format!("sslmode={mode}&sslrootcert={known}")).await, "{mode}");
        let unknown = format!("sslmode={mode}&sslrootcert={unknown}");
        assert!(!connects("localhost", unknown).await, "{mode} trusts an authority it was not told");
        let wrong_name = format!("sslmode={mode}&sslrootcert={known}");
        assert!(!connects("127.0.0.1", wrong_name).await, "{mode} takes any name for its own");
    }
    assert!(!connects("localhost", "sslmode=disable".into()).await, "this server answers only over TLS");
}
