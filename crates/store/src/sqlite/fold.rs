//! Folding write-ahead logs into their databases beside the writing. A writer that folds its own log lets everybody behind it
//! wait for thousands of pages; so a thread of its own does nearly all of that while the writer goes on, and the writer
//! folds the few pages that have come meanwhile, after which its log begins anew.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::open_writer;
use crate::fault::Fault;

/// Pages in a log at which it is folded: a page that is written again and again is folded once. Of 4 KiB each.
const FOLDED_AT_PAGES: i64 = 4_000;
/// Pages that may be left to the writer.
const LEFT_PAGES: i64 = 400;
/// How often the thread goes over a log at most: each time fewer pages have come meanwhile.
const TIMES: u32 = 3;

/// A log to fold, and where to say that it is done.
type Task = (PathBuf, Arc<AtomicBool>);

/// Whom writers tell of long logs. The thread ends after the last of them.
#[derive(Clone)]
pub struct Folder(mpsc::Sender<Task>);

impl Folder {
    pub fn start() -> Result<(Folder, JoinHandle<()>), Fault> {
        let (sender, tasks) = mpsc::channel::<Task>();
        let work = move || {
            for (path, done) in tasks {
                // What it could not do the writer will.
                drop(fold(&path));
                done.store(true, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("folder".into()).spawn(work);
        Ok((Folder(sender), thread.map_err(|e| Fault::file(Path::new("folder"), e))?))
    }
}

/// What becomes of one writer's log.
#[derive(Default)]
pub struct Folding {
    /// Set while the thread has it; true when the thread is through with it.
    given: Option<Arc<AtomicBool>>,
}

impl Folding {
    /// To be called after a commit. A failure is no failure of the commit: the log is only longer for it, and what is
    /// wrong with the file the next commit finds out.
    pub fn look_after(&mut self, connection: &Connection, path: &Path, folder: &Folder) {
        let Ok((pages, _)) = checkpoint(connection, "pragma wal_checkpoint(noop)") else { return };
        if pages < FOLDED_AT_PAGES {
            self.given = None;
            return;
        }
        match &self.given {
            None => {
                let done = Arc::new(AtomicBool::new(false));
                drop(folder.0.send((path.to_owned(), Arc::clone(&done))));
                self.given = Some(done);
            }
            Some(done) if done.load(Ordering::Acquire) => {
                drop(checkpoint(connection, "pragma wal_checkpoint(passive)"));
            }
            Some(_) => {}
        }
    }
}

fn fold(path: &Path) -> Result<(), Fault> {
    let connection = open_writer(path)?;
    for _ in 0..TIMES {
        let counted = checkpoint(&connection, "pragma wal_checkpoint(passive)");
        let (pages, folded) = counted.map_err(|source| super::open_fault(path, source))?;
        if pages - folded <= LEFT_PAGES {
            break;
        }
    }
    Ok(())
}

/// Pages in the log, and how many of them are in the database.
fn checkpoint(connection: &Connection, text: &str) -> rusqlite::Result<(i64, i64)> {
    connection.prepare_cached(text)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
