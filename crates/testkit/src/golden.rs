//! Golden files: contracts that clients see, kept as text beside the tests. `UPDATE_GOLDEN=1` rewrites them; the
//! difference is then read by a person.

use std::path::Path;

/// Compares `actual` with `tests/golden/<name>` of the crate at `manifest_dir`.
///
/// # Panics
/// When they differ, naming the first differing line and how to accept the change.
#[track_caller]
pub fn check(manifest_dir: &str, name: &str, actual: &str) {
    check_file(Path::new(manifest_dir).join("tests/golden").join(name), actual);
}

/// Compares `actual` with a file anywhere in the repository that people read.
///
/// # Panics
/// As [`check`].
#[expect(clippy::panic, clippy::disallowed_methods, reason = "a test assertion, steered by the environment")]
#[track_caller]
pub fn check_file(path: impl AsRef<Path>, actual: &str) {
    let path = path.as_ref();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        if let Some(folder) = path.parent() {
            drop(std::fs::create_dir_all(folder));
        }
        if let Err(error) = std::fs::write(path, actual) {
            panic!("could not write {}: {error}", path.display());
        }
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == actual {
        return;
    }
    let line = expected
        .lines()
        .zip(actual.lines())
        .position(|(a, b)| a != b)
        .unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    panic!(
        "{name} differs from its golden file at line {}:\n  golden: {}\n  actual: {}\nIf the change is wanted, run \
         the test with UPDATE_GOLDEN=1 and read the difference.",
        line + 1,
        expected.lines().nth(line).unwrap_or("(end)"),
        actual.lines().nth(line).unwrap_or("(end)"),
    );
}
