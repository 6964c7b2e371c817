//! Backup and restore of everything, on either engine. A backup is a folder of database copies and blobs with a manifest of
//! SHA-256 digests; a restore checks every file before it puts anything in place.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::digest::Digest;
use domain::id::OrgId;
use serde::{Deserialize, Serialize};

use crate::engine::{Database, blocking};
use crate::fault::Fault;
use crate::sqlite::{self, Engine};
use crate::transfer::transfer;
use crate::{Config, Entropy, Store};

const MANIFEST: &str = "manifest.json";
/// Version of the backup's layout.
const LAYOUT: u32 = 1;

/// What a backup or a restore moved.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupReport {
    pub organizations: usize,
    pub files: usize,
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    layout: u32,
    /// Relative path to SHA-256.
    files: BTreeMap<String, String>,
}

fn list(folder: &Path, base: &Path, found: &mut Vec<PathBuf>) -> Result<(), Fault> {
    for entry in fs::read_dir(folder).map_err(|e| Fault::file(folder, e))? {
        let path = entry.map_err(|e| Fault::file(folder, e))?.path();
        if path.is_dir() {
            list(&path, base, found)?;
        } else if let Ok(relative) = path.strip_prefix(base) {
            found.push(relative.to_owned());
        }
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder)
        .map_err(|source| Fault::NotWritable { path: folder.display().to_string(), source })?;
    let mut entries = fs::read_dir(folder).map_err(|e| Fault::file(folder, e))?;
    if entries.next().is_some() {
        return Err(Fault::NotEmpty { path: folder.display().to_string() });
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| Fault::file(folder, e))?;
    }
    fs::copy(from, to).map_err(|e| Fault::file(to, e))?;
    Ok(())
}

fn digest(path: &Path) -> Result<(String, u64), Fault> {
    let bytes = fs::read(path).map_err(|e| Fault::file(path, e))?;
    Ok((Digest::of(&bytes).to_string(), bytes.len() as u64))
}

/// Copies the databases into an empty folder; the organizations in it.
pub(crate) fn copy_databases(engine: &Engine, to: &Path) -> Result<Vec<OrgId>, Fault> {
    empty(to)?;
    sqlite::copy_database(&engine.path(Database::Directory), &to.join("directory.db"))?;
    let organizations = engine.organizations()?;
    for id in &organizations {
        let folder = to.join("organizations").join(id.to_string());
        fs::create_dir_all(&folder).map_err(|e| Fault::file(&folder, e))?;
        sqlite::copy_database(&engine.path(Database::Organization(*id)), &folder.join("records.db"))?;
    }
    Ok(organizations)
}

/// Copies the evidence bytes of organizations from one folder to another.
pub(crate) fn copy_blobs(from: &Path, organizations: &[OrgId], to: &Path) -> Result<(), Fault> {
    for id in organizations {
        let blobs = Path::new("organizations").join(id.to_string()).join("blobs");
        let (source, target) = (from.join(&blobs), to.join(&blobs));
        if source.exists() {
            let mut found = Vec::new();
            list(&source, &source, &mut found)?;
            for relative in found.iter().filter(|p| p.extension().is_none()) {
                copy(&source.join(relative), &target.join(relative))?;
            }
        }
    }
    Ok(())
}

/// Writes the manifest over everything that is in the folder.
pub(crate) fn seal(to: &Path, organizations: usize) -> Result<BackupReport, Fault> {
    let mut found = Vec::new();
    list(to, to, &mut found)?;
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    // The lock of the process that made the folder is no part of it.
    for relative in found.iter().filter(|path| *path != Path::new("lock")) {
        let (hash, size) = digest(&to.join(relative))?;
        bytes += size;
        files.insert(relative.to_string_lossy().into_owned(), hash);
    }
    let count = files.len();
    let manifest = serde_json::to_vec_pretty(&Manifest { layout: LAYOUT, files })?;
    let path = to.join(MANIFEST);
    fs::write(&path, manifest).map_err(|e| Fault::file(&path, e))?;
    Ok(BackupReport { organizations, files: count, bytes })
}

/// A backup of a database, in the same form as one of a folder: each organization is copied into embedded storage.
pub(crate) async fn backup_database(
    from: &Store,
    to: &Path,
    entropy: Arc<dyn Entropy>,
) -> Result<BackupReport, Fault> {
    empty(to)?;
    let copy = Store::open(Config::new(to), entropy).await?;
    let organizations = from.directory().organizations().await?;
    for organization in &organizations {
        transfer(from, &copy, organization.id, &mut |_, _| {}).await?;
    }
    copy.close().await;
    drop(copy);
    let (to, count) = (to.to_owned(), organizations.len());
    blocking(move || seal(&to, count)).await
}

/// Puts the organizations of a backup into a database that has none of them, after checking every file.
///
/// # Errors
/// [`Fault::Backup`] for anything that is not a whole backup; whatever [`transfer`](crate::transfer) refuses.
pub async fn restore_database(
    from: &Path,
    to: &Store,
    entropy: Arc<dyn Entropy>,
) -> Result<BackupReport, Fault> {
    // Opening changes files, and a backup must stay what it is.
    let unpacked = from.with_extension("restoring");
    let (source, folder) = (from.to_owned(), unpacked.clone());
    let report = blocking(move || restore(&source, &folder)).await?;
    let run = async {
        let copy = Store::open(Config::new(&unpacked), entropy).await?;
        for organization in copy.directory().organizations().await? {
            transfer(&copy, to, organization.id, &mut |_, _| {}).await?;
        }
        copy.close().await;
        Ok(report)
    };
    let result = run.await;
    fs::remove_dir_all(&unpacked).map_err(|e| Fault::file(&unpacked, e))?;
    result
}

/// Puts a backup into an empty data folder, after checking every file against the manifest.
///
/// # Errors
/// [`Fault::Backup`] for anything that is not a whole backup, [`Fault::NotEmpty`]; nothing is left behind then.
pub fn restore(from: &Path, to: &Path) -> Result<BackupReport, Fault> {
    let path = from.join(MANIFEST);
    let text = fs::read(&path).map_err(|_| Fault::Backup("there is no manifest.json".into()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|_| Fault::Backup("manifest.json cannot be read".into()))?;
    if manifest.layout != LAYOUT {
        return Err(Fault::Backup(format!("layout {} is not known to this program", manifest.layout)));
    }
    let mut bytes = 0;
    let mut organizations = 0;
    for (relative, expected) in &manifest.files {
        let safe = Path::new(relative).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !safe {
            return Err(Fault::Backup("the manifest names a file outside of the backup".into()));
        }
        let (actual, size) = digest(&from.join(relative))
            .map_err(|_| Fault::Backup(format!("{relative} is missing or cannot be read")))?;
        if actual != *expected {
            return Err(Fault::Backup(format!("{relative} is not what was backed up")));
        }
        if relative.ends_with("records.db") {
            organizations += 1;
        }
        bytes += size;
    }
    empty(to)?;
    if let Err(fault) = put(from, to, &manifest) {
        // The folder was empty: everything in it came from here, and half a data folder is worse than none.
        drop(fs::remove_dir_all(to));
        return Err(fault);
    }
    Ok(BackupReport { organizations, files: manifest.files.len(), bytes })
}

/// Copies every file into place, and has each database checked there.
fn put(from: &Path, to: &Path, manifest: &Manifest) -> Result<(), Fault> {
    for relative in manifest.files.keys() {
        copy(&from.join(relative), &to.join(relative))?;
    }
    for relative in
        manifest.files.keys().filter(|name| Path::new(name).extension().is_some_and(|e| e == "db"))
    {
        let state = sqlite::integrity(&to.join(relative))?;
        if state != "ok" {
            return Err(Fault::Backup(format!("{relative} fails the integrity check")));
        }
    }
    Ok(())
}
