//! Evidence bytes by their SHA-256: in a folder, or in a bucket of an S3-compatible service. Both are laid out alike
//! (`organizations/<id>/blobs/<two digits>/<the rest>`), so that an operator may copy one to the other by any means.
//!
//! The folder is our own few lines and not the library's local store, which syncs neither the file nor its folder: what
//! is acknowledged here must survive a power cut. A blob is written to a temporary name, synced, renamed: one that can be
//! found is whole. What is read is compared with its name, wherever it came from.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::digest::Digest;
use domain::id::OrgId;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};

use crate::crash::{self, Watch};
use crate::engine::blocking;
use crate::fault::Fault;

/// How long the service may take to accept a connection, and to answer one request.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How often, and for how long in all, a request is repeated that failed on the way or for a reason that passes.
const RETRIES_MAX: usize = 3;
const RETRY_WAIT: Duration = Duration::from_secs(10);

/// A bucket of an S3-compatible service.
#[derive(Clone, Default)]
pub struct Bucket {
    /// `s3://bucket` or `s3://bucket/folder/in/it`.
    pub url: String,
    /// Base URL of the service when it is not AWS; then the bucket is named in the path. `http://` only where nothing
    /// else listens.
    pub endpoint: Option<String>,
    pub region: String,
    /// Without keys, those that the machine has been given by its cloud.
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
}

/// Not derived: keys are secrets.
impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Where the evidence bytes of all organizations are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Folder(PathBuf),
    Bucket(Arc<AmazonS3>, Key),
}

fn evidence_fault(what: &'static str, source: object_store::Error) -> Fault {
    Fault::Evidence { what, source: Box::new(source) }
}

impl Place {
    /// A bucket, once it has answered: a wrong name or key is found at the start and not with the first upload.
    ///
    /// # Errors
    /// [`Fault::BadEvidenceUrl`], [`Fault::Evidence`].
    pub async fn bucket(bucket: &Bucket) -> Result<Place, Fault> {
        let rest = bucket.url.strip_prefix("s3://").ok_or(Fault::BadEvidenceUrl)?;
        let (name, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let folder = Key::parse(folder.trim_matches('/')).map_err(|_| Fault::BadEvidenceUrl)?;
        if name.is_empty() {
            return Err(Fault::BadEvidenceUrl);
        }
        let options = ClientOptions::new().with_connect_timeout(CONNECT_WAIT).with_timeout(ANSWER_WAIT);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_WAIT,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(name)
            .with_region(&bucket.region)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &bucket.endpoint {
            let plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint.trim_end_matches('/')).with_allow_http(plain);
        } else {
            builder = builder.with_virtual_hosted_style_request(true);
        }
        if let (Some(id), Some(secret)) = (&bucket.access_key_id, &bucket.secret_access_key) {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        let store = builder.build().map_err(|e| evidence_fault("be set up", e))?;
        store.list_with_delimiter(Some(&folder)).await.map_err(|e| evidence_fault("be listed", e))?;
        Ok(Place::Bucket(Arc::new(store), folder))
    }

    pub fn of(&self, id: OrgId) -> Blobs {
        Blobs { place: self.clone(), id }
    }
}

/// Bytes of one organization.
#[derive(Debug, Clone)]
pub struct Blobs {
    place: Place,
    id: OrgId,
}

impl Blobs {
    /// Path of a blob below the place, the same in a folder and in a bucket.
    fn parts(&self, digest: Digest) -> [String; 5] {
        let name = digest.to_string();
        let (head, tail) = name.split_at_checked(2).unwrap_or(("00", &name));
        ["organizations".into(), self.id.to_string(), "blobs".into(), head.into(), tail.into()]
    }

    fn key(&self, folder: &Key, digest: Digest) -> Key {
        self.parts(digest).into_iter().fold(folder.clone(), Key::join)
    }

    /// Keeps bytes; durable when it returns. The same bytes twice are kept once.
    ///
    /// # Errors
    /// [`Fault::File`], [`Fault::Evidence`].
    pub async fn put(&self, bytes: &[u8]) -> Result<Digest, Fault> {
        let digest = Digest::of(bytes);
        let watch = Watch::named("blob");
        watch.pass(crash::RECEIVED);
        match &self.place {
            Place::Folder(base) => {
                let path = self.parts(digest).iter().fold(base.clone(), |path, part| path.join(part));
                if !path.exists() {
                    let bytes = bytes.to_vec();
                    blocking(move || write_once(&path, &bytes).map_err(|e| Fault::file(&path, e))).await?;
                }
            }
            Place::Bucket(store, folder) => {
                let key = self.key(folder, digest);
                match store.head(&key).await {
                    Ok(found) if found.size == bytes.len() as u64 => {}
                    // Not there, or not whole; the service acknowledges what it has stored durably.
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                        let put = store.put(&key, bytes.to_vec().into()).await;
                        put.map_err(|e| evidence_fault("be written", e))?;
                    }
                    Err(error) => return Err(evidence_fault("be looked up", error)),
                }
            }
        }
        watch.pass(crash::COMMITTED);
        Ok(digest)
    }

    /// # Errors
    /// [`Fault::File`] and [`Fault::Evidence`] for anything but absence; [`Fault::DamagedEvidence`] when the bytes are
    /// not those that were put there.
    pub async fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        let found = match &self.place {
            Place::Folder(base) => {
                let path = self.parts(*digest).iter().fold(base.clone(), |path, part| path.join(part));
                blocking(move || match fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(e) => Err(Fault::file(&path, e)),
                })
                .await?
            }
            Place::Bucket(store, folder) => match store.get(&self.key(folder, *digest)).await {
                Ok(found) => {
                    let bytes = found.bytes().await.map_err(|e| evidence_fault("be read", e))?;
                    Some(bytes.to_vec())
                }
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(evidence_fault("be read", error)),
            },
        };
        match found {
            Some(bytes) if Digest::of(&bytes) != *digest => {
                Err(Fault::DamagedEvidence { sha256: digest.to_string() })
            }
            found => Ok(found),
        }
    }
}

fn write_once(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // The thread's name keeps two writers of the same bytes apart; the rename makes either of them the winner.
    let thread = format!("{:?}", std::thread::current().id());
    let unique: String = thread.chars().filter(char::is_ascii_digit).collect();
    let temporary = path.with_extension(format!("{}-{unique}.tmp", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(folder)?.sync_all()
}
