//! The executed house rules: which crate may depend on which, and where an outside library may be named. A new edge or
//! a new home is a conscious change of the tables below.

/// Workspace dependencies of each crate (dependencies of the product, not of tests).
pub const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("intake", &["domain"]),
    ("store", &["domain"]),
    ("identity", &["domain", "store"]),
    ("engine", &["domain", "identity", "intake", "store"]),
    ("web", &["domain", "engine", "identity"]),
    ("loopiq", &["domain", "engine", "identity", "intake", "store", "web"]),
    ("testkit", &["domain"]),
    ("xtask", &[]),
];

/// Outside libraries and the only places whose code may name them.
pub const HOMES: &[(&str, &[&str])] = &[
    (
        "rusqlite",
        &[
            "crates/store/src/sqlite",
            "crates/store/benches/",
            "crates/testkit/src/sqlite.rs",
            "crates/loopiq/benches/bare/",
        ],
    ),
    ("rmcp", &["crates/loopiq/benches/bare/"]),
    (
        "axum",
        &[
            "crates/web/",
            "crates/loopiq/src/cli/serve.rs",
            "crates/loopiq/src/wire.rs",
            "crates/loopiq/src/serve",
            "crates/loopiq/tests/it/model.rs",
            "crates/loopiq/tests/it/webhooks.rs",
            "crates/loopiq/tests/it/oauth_documents.rs",
            "crates/loopiq/tests/it/issuer.rs",
            "crates/loopiq/benches/bare/",
        ],
    ),
    ("maud", &["crates/web/src/console/"]),
    ("similar", &["crates/web/src/console/policies.rs"]),
    ("clap", &["crates/loopiq/src/"]),
    ("argon2", &["crates/identity/src/"]),
    ("quick_xml", &["crates/intake/src/", "crates/intake/fuzz/"]),
    ("jsonschema", &["crates/engine/src/schema.rs", "crates/engine/tests/"]),
    ("object_store", &["crates/store/src/blobs.rs"]),
    ("s3s", &["crates/testkit/src/bucket.rs"]),
    ("cedar_policy", &["crates/engine/src/policy.rs", "crates/engine/benches/"]),
    ("miette", &["crates/engine/src/policy.rs"]),
    ("quick_cache", &["crates/engine/src/gate.rs", "crates/identity/src/", "crates/store/src/kept.rs"]),
    ("reqwest", &["crates/loopiq/"]),
    (
        "tokio_postgres",
        &["crates/store/src/postgres/", "crates/store/tests/", "crates/testkit/src/postgres.rs"],
    ),
    ("deadpool_postgres", &["crates/store/src/postgres/"]),
    (
        "aws_lc_rs",
        &[
            "crates/engine/src/signing.rs",
            "crates/engine/tests/passkeys.rs",
            "crates/identity/src/oauth/keys.rs",
            "crates/loopiq/tests/it/oauth",
            "crates/store/src/postgres/tls.rs",
        ],
    ),
    ("webauthn_rs", &["crates/identity/src/passkey.rs"]),
    ("openidconnect", &["crates/identity/src/oidc.rs"]),
    ("chrono", &["crates/identity/src/oidc.rs"]),
    ("rawzip", &["crates/engine/src/pack/archive.rs"]),
    ("jsonwebtoken", &["crates/identity/src/", "crates/loopiq/tests/"]),
    ("signed_note", &["crates/domain/tests/", "crates/loopiq/tests/"]),
    ("tlog_tiles", &["crates/domain/tests/", "crates/loopiq/tests/"]),
    ("ct_merkle", &["crates/domain/tests/"]),
    ("standardwebhooks", &["crates/loopiq/tests/it/webhooks.rs"]),
    ("tungstenite", &["crates/loopiq/tests/it/devtools.rs"]),
];

/// The longest a source file may be, tests excluded.
pub const FILE_LINES_MAX: usize = 700;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{EDGES, FILE_LINES_MAX, HOMES};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    sources(&path, found);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }

    fn all_sources() -> Vec<(String, String)> {
        let root = root();
        let mut found = Vec::new();
        sources(&root.join("crates"), &mut found);
        sources(&root.join("xtask"), &mut found);
        assert!(found.len() > 50, "the walk found too little to mean anything");
        found
            .into_iter()
            .map(|path| {
                let text = std::fs::read_to_string(&path).unwrap();
                (path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), text)
            })
            .collect()
    }

    #[test]
    fn crates_depend_only_downwards() {
        let names: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
        for (name, allowed) in EDGES {
            let folder = if *name == "xtask" { "xtask".to_owned() } else { format!("crates/{name}") };
            let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
            let manifest: toml::Table = manifest.parse().unwrap();
            let dependencies = manifest.get("dependencies").and_then(|d| d.as_table()).unwrap();
            for dependency in dependencies.keys().filter(|d| names.contains(&d.as_str())) {
                assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
            }
        }
    }

    #[test]
    fn outside_libraries_are_named_in_their_home_only() {
        for (path, text) in all_sources() {
            if path == "crates/testkit/src/tidy.rs" {
                continue;
            }
            for (library, homes) in HOMES {
                let named = text.lines().any(|line| {
                    let code = line.trim_start();
                    !code.starts_with("//")
                        && (code.contains(&format!("{library}::"))
                            || code.contains(&format!("use {library}")))
                });
                let home = homes.iter().any(|home| path.starts_with(home));
                assert!(!named || home, "{path} names {library}, whose home is {homes:?}");
            }
        }
    }

    #[test]
    fn pure_crates_have_no_runtime() {
        for name in ["domain", "intake"] {
            let manifest =
                std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
            for banned in ["tokio", "tracing", "getrandom"] {
                assert!(!manifest.contains(banned), "{name} must stay pure, but names {banned}");
            }
        }
    }

    #[test]
    fn every_file_says_what_it_is_for_and_stays_readable() {
        for (path, text) in all_sources() {
            if path.contains("/fuzz/") {
                continue;
            }
            // A shebang or attribute may come first; the header is the first comment.
            assert!(text.lines().take(6).any(|l| l.starts_with("//!")), "{path} has no //! header");
            let test = path.contains("/tests/") || path.contains("/benches/");
            let lines = text.lines().take_while(|l| !l.starts_with("#[cfg(test)]")).count();
            assert!(test || lines <= FILE_LINES_MAX, "{path} has {lines} lines");
        }
    }

    #[test]
    fn nothing_is_left_for_later() {
        for (path, text) in all_sources() {
            if path == "crates/testkit/src/tidy.rs" {
                continue;
            }
            for marker in ["todo!(", "unimplemented!(", "FIXME", "XXX", "#[ignore"] {
                assert!(!text.contains(marker), "{path} contains {marker}");
            }
        }
    }
}
