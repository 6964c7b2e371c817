//! Evidence bytes by their SHA-256, in a folder of the organization. Written to a temporary name, synced, renamed:
//! a blob that can be found is whole.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use domain::digest::Digest;

use crate::engine::blocking;
use crate::fault::Fault;

/// Bytes of one organization.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub(crate) fn new(folder: PathBuf) -> Blobs {
        Blobs { folder }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        let (head, tail) = name.split_at_checked(2).unwrap_or(("00", &name));
        self.folder.join(head).join(tail)
    }

    /// Keeps bytes; durable when it returns. The same bytes twice are kept once.
    ///
    /// # Errors
    /// [`Fault::File`].
    pub async fn put(&self, bytes: &[u8]) -> Result<Digest, Fault> {
        let digest = Digest::of(bytes);
        let path = self.path(digest);
        if path.exists() {
            return Ok(digest);
        }
        let bytes = bytes.to_vec();
        blocking(move || write_once(&path, &bytes).map_err(|e| Fault::file(&path, e))).await?;
        Ok(digest)
    }

    /// # Errors
    /// [`Fault::File`] for anything but absence.
    pub async fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.path(*digest);
        blocking(move || match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Fault::file(&path, e)),
        })
        .await
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
