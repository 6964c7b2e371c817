//! An evidence pack as one zip file. Files are stored as they are, without a time, so that the same files make the same bytes;
//! what is read is bounded, and names stay names: nothing is ever unpacked to a disk.

use std::io::Write as _;

use domain::pack::check::Files;
use domain::pack::{EVIDENCE_BYTES_MAX, FILES_MAX};
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveWriter};

use crate::stop::Fault;

/// Files of an archive: those of the evidence, and a few around them.
const ENTRIES_MAX: u64 = FILES_MAX as u64 + 10;
/// Bytes of an archive: those of the evidence, and what is written around them.
pub const ARCHIVE_BYTES_MAX: u64 = EVIDENCE_BYTES_MAX + 128 * 1024 * 1024;

/// Writes an archive file by file.
pub struct Archive(ZipArchiveWriter<Vec<u8>>);

impl Archive {
    pub fn empty() -> Archive {
        Archive(ZipArchiveWriter::new(Vec::new()))
    }

    /// # Errors
    /// Only if the library does not take it, which is a bug.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.store(name, bytes).ok_or(Fault::Bug("a file fits into an archive"))
    }

    fn store(&mut self, name: &str, bytes: &[u8]) -> Option<()> {
        let file = self.0.new_file(name).compression_method(CompressionMethod::STORE);
        let (mut entry, config) = file.start().ok()?;
        let mut writer = config.wrap(&mut entry);
        writer.write_all(bytes).ok()?;
        let (_, descriptor) = writer.finish().ok()?;
        entry.finish(descriptor).ok()?;
        Some(())
    }

    /// # Errors
    /// As [`Archive::add`].
    pub fn finish(self) -> Result<Vec<u8>, Fault> {
        self.0.finish().map_err(|_| Fault::Bug("an archive has an end"))
    }
}

/// The files of an archive. What they are is found by their hashes, so that nothing else is compared.
///
/// # Errors
/// What it lacks to be one that this program has written, readable after "the file …".
pub fn read(bytes: &[u8]) -> Result<Files, &'static str> {
    const NONE: &str = "is not an evidence pack";
    const NOT_STORED: &str = "has a file that is not stored as it is";
    if bytes.len() as u64 > ARCHIVE_BYTES_MAX {
        return Err("is larger than any evidence pack");
    }
    let archive = ZipArchive::from_slice(bytes).map_err(|_| NONE)?;
    if archive.end_offset() != bytes.len() as u64 {
        return Err("has something behind its end");
    }
    if archive.entries_hint() > ENTRIES_MAX {
        return Err("has more files than any evidence pack");
    }
    let mut files = Files::new();
    let mut left = bytes.len();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(|_| NONE)? {
        if entry.compression_method() != CompressionMethod::STORE {
            return Err(NOT_STORED);
        }
        let name = std::str::from_utf8(entry.file_path().as_bytes()).map_err(|_| NONE)?.to_owned();
        let stored = archive.get_entry(entry.wayfinder()).map_err(|_| NOT_STORED)?;
        // Files that lie on top of each other would be more than the archive.
        left = left.checked_sub(stored.data().len()).ok_or(NOT_STORED)?;
        if files.insert(name, stored.data().to_vec()).is_some() {
            return Err("has a file twice");
        }
    }
    if files.len() as u64 != archive.entries_hint() {
        return Err("has another number of files than it says");
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = Archive::empty();
        for (name, bytes) in files {
            archive.add(name, bytes).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn what_is_packed_is_read_and_the_same_files_make_the_same_bytes() {
        let files: [(&str, &[u8]); 2] = [("a.json", b"{}"), ("evidence/00", b"")];
        let bytes = packed(&files);
        assert_eq!(bytes, packed(&files));
        let read = read(&bytes).unwrap();
        assert_eq!((read["a.json"].as_slice(), read["evidence/00"].as_slice()), (&b"{}"[..], &b""[..]));
    }

    #[test]
    fn what_is_no_archive_or_no_whole_one_is_none() {
        let bytes = packed(&[("a", b"content")]);
        assert!(read(b"PK nothing of the kind").is_err());
        let mut followed = packed(&[("a", b"content")]);
        followed.push(b'x');
        assert!(read(&followed).is_err());
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_found() {
        let mut bytes = packed(&[("aa", b"first"), ("ab", b"second")]);
        for at in 0..bytes.len() - 1 {
            if &bytes[at..at + 2] == b"ab" {
                bytes[at + 1] = b'a';
            }
        }
        assert!(read(&bytes).is_err());
    }
}
