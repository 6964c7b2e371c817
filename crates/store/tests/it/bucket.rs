//! Evidence bytes in a bucket of an S3-compatible service, on either engine.

use std::path::PathBuf;
use std::sync::Arc;

use domain::digest::Digest;
use store::{Bucket, Config, Fault, Store};
use tempfile::TempDir;
use testkit::bucket::{KEY, SECRET, Service};
use testkit::postgres::APP;
use testkit::records::organization;

use crate::place::{Place, Sevens, one_org};

struct Cloud {
    folder: TempDir,
    service: Service,
}

impl Cloud {
    fn start() -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(folder.path()).unwrap();
        service.bucket("evidence").unwrap();
        Cloud { folder, service }
    }

    /// Where the service keeps a blob of the first organization.
    fn file(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        let (head, tail) = name.split_at(2);
        let id = organization(1).id.to_string();
        let folder = self.folder.path().join("evidence/of/loopiq/organizations").join(id);
        folder.join("blobs").join(head).join(tail)
    }

    fn bucket(&self) -> Bucket {
        Bucket {
            url: "s3://evidence/of/loopiq".into(),
            endpoint: Some(self.service.endpoint()),
            region: "us-east-1".into(),
            access_key_id: Some(KEY.into()),
            secret_access_key: Some(SECRET.into()),
        }
    }
}

async fn embedded(folder: &TempDir, bucket: Bucket) -> Result<Store, Fault> {
    let mut config = Config::new(folder.path());
    config.bucket = Some(bucket);
    Store::open(config, Arc::new(Sevens)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_puts_another_gets_and_other_organizations_do_not() {
    let cloud = Cloud::start();
    let place = Place::postgres().await;
    let node = || {
        let mut config = place.config(APP);
        config.bucket = Some(cloud.bucket());
        Store::connect(config, Arc::new(Sevens))
    };
    let (first, second) = (node().await.unwrap(), node().await.unwrap());
    let one = one_org(&first, 1).await;
    let two = one_org(&first, 2).await;
    let digest = one.blobs().put(b"evidence").await.unwrap();
    assert_eq!(one.blobs().put(b"evidence").await.unwrap(), digest, "the same bytes twice are kept once");
    let seen = second.org(organization(1).id).await.unwrap();
    assert_eq!(seen.blobs().get(&digest).await.unwrap().as_deref(), Some(&b"evidence"[..]));
    assert_eq!(two.blobs().get(&digest).await.unwrap(), None);
    assert_eq!(one.blobs().get(&Digest::of(b"other")).await.unwrap(), None);
    // As in a folder, so that one may be copied to the other.
    assert_eq!(std::fs::read(cloud.file(digest)).unwrap(), b"evidence");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_what_was_put_there_are_not_given_out() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let store = embedded(&folder, cloud.bucket()).await.unwrap();
    let org = one_org(&store, 1).await;
    let digest = org.blobs().put(b"evidence").await.unwrap();
    std::fs::write(cloud.file(digest), b"evil").unwrap();
    assert!(matches!(org.blobs().get(&digest).await, Err(Fault::DamagedEvidence { .. })));
    // What is not whole is put again.
    org.blobs().put(b"evidence").await.unwrap();
    assert_eq!(org.blobs().get(&digest).await.unwrap().as_deref(), Some(&b"evidence"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_used_is_found_at_the_start_and_one_that_goes_away_is_an_error() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let absent = Bucket { url: "s3://elsewhere".into(), ..cloud.bucket() };
    let stranger = Bucket { secret_access_key: Some("guessed".into()), ..cloud.bucket() };
    let nowhere = Bucket { endpoint: Some("http://127.0.0.1:9".into()), ..cloud.bucket() };
    for bad in [absent, stranger, nowhere] {
        let fault = embedded(&folder, bad).await.err().unwrap();
        assert!(matches!(fault, Fault::Evidence { .. }), "{fault:?}");
        assert!(!format!("{fault:?}").contains(SECRET), "no secret in a message");
    }
    for bad in ["", "s3://", "https://evidence", "s3:///x"] {
        let bucket = Bucket { url: bad.into(), ..cloud.bucket() };
        assert!(matches!(embedded(&folder, bucket).await, Err(Fault::BadEvidenceUrl)), "{bad}");
    }
    let store = embedded(&folder, cloud.bucket()).await.unwrap();
    let org = one_org(&store, 1).await;
    let digest = org.blobs().put(b"evidence").await.unwrap();
    drop(cloud);
    assert!(matches!(org.blobs().put(b"more").await, Err(Fault::Evidence { .. })));
    assert!(matches!(org.blobs().get(&digest).await, Err(Fault::Evidence { .. })), "gone is not absent");
}
