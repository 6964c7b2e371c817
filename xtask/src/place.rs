//! Where things are: the workspace, its folders, and what the environment says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The workspace on this machine.
#[derive(Debug)]
pub struct Place {
    /// The folder of the workspace's manifest.
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
    /// Where tools are installed which only this workspace uses. Never committed; may be deleted at any time.
    pub tools: PathBuf,
    /// The cargo that runs this.
    pub cargo: PathBuf,
}

impl Place {
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the xtask crate is not inside a workspace")?
            .to_path_buf();
        let target = variable("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        let tools = root.join(".tools");
        let cargo = variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        Ok(Self { root, target, tools, cargo })
    }

    /// The manifests and scripts of the outside test tools.
    pub fn manifests(&self) -> PathBuf {
        self.root.join("tests-tools")
    }
}

/// An environment variable that says something.
#[expect(clippy::disallowed_methods, reason = "the home of environment variables in the automation")]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The first of these programs found on the search path.
pub fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = variable("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}
