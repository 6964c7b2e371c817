//! What the tests need from outside, as a list of steps. Each step knows whether its tool is there, how to install it and
//! how to prove that it works, and says in one line what it found or did. A step never passes over a missing tool: it
//! fails and tells the remedy.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::{Place, on_path, variable};
use crate::run::{answer, cargo, now, seconds, succeed};

/// One tool: looked for, installed when missing, proven.
#[derive(Debug)]
pub struct Step {
    name: &'static str,
    /// The variable by which a person names one; what is named is taken or refused, never replaced by an installation.
    named: Option<&'static str>,
    /// Where the tool is, when it is there and fits.
    find: fn(&Place) -> Option<PathBuf>,
    install: fn(&Place) -> Result<()>,
    /// One line which only a working tool can say: its version.
    prove: fn(&Place, &Path) -> Result<String>,
    remedy: &'static str,
    /// How tests learn where it is.
    variable: Option<&'static str>,
}

/// In order: a later step may use an earlier one.
const STEPS: &[&Step] = &[&CARGO_NEXTEST, &NPM, &NODE, &NPM_PACKAGES, &PYTHON, &CHROMIUM, &POSTGRES];

/// Sets everything up; answers the variables by which tests find it.
pub fn prepare(place: &Place) -> Result<Vec<(&'static str, PathBuf)>> {
    println!("== tools");
    let mut variables = Vec::new();
    for step in STEPS {
        let found = step.ready(place)?;
        variables.extend(step.variable.map(|name| (name, found)));
    }
    Ok(variables)
}

impl Step {
    pub fn ready(&self, place: &Place) -> Result<PathBuf> {
        let remedy = || format!("{} is needed and cannot be set up. Remedy: {}", self.name, self.remedy);
        if let Some((name, named)) = self.named.and_then(|name| Some((name, PathBuf::from(variable(name)?))))
        {
            let proof = (self.prove)(place, &named)
                .with_context(|| format!("{name} names {}, which does not work", named.display()))
                .with_context(remedy)?;
            println!("{}: named by {name}, {proof}", self.name);
            return Ok(named);
        }
        if let Some(found) = (self.find)(place) {
            if let Ok(proof) = (self.prove)(place, &found) {
                println!("{}: found, {proof}", self.name);
                return Ok(found);
            }
            println!("{}: found at {} but does not work; installing", self.name, found.display());
        } else {
            println!("{}: not there; installing", self.name);
        }
        let begun = now();
        (self.install)(place).with_context(remedy)?;
        let found =
            (self.find)(place).context("the installation left nothing behind").with_context(remedy)?;
        let proof = (self.prove)(place, &found).with_context(remedy)?;
        println!("{}: installed in {}, {proof}", self.name, seconds(now() - begun));
        Ok(found)
    }
}

// Cargo subcommands: versions are pinned for the installation; an installed one is taken as it is.

const NEXTEST_VERSION: &str = "0.9.143";
const DENY_VERSION: &str = "0.20.2";

const CARGO_NEXTEST: Step = Step {
    name: "cargo-nextest",
    named: None,
    find: |place| subcommand(place, "nextest"),
    install: |place| install_subcommand(place, "cargo-nextest", NEXTEST_VERSION),
    prove: |place, _| first_line(&mut cargo(place, &["nextest", "--version"])),
    remedy: "cargo install cargo-nextest --locked",
    variable: None,
};

pub const CARGO_DENY: Step = Step {
    name: "cargo-deny",
    named: None,
    find: |place| subcommand(place, "deny"),
    install: |place| install_subcommand(place, "cargo-deny", DENY_VERSION),
    prove: |place, _| first_line(&mut cargo(place, &["deny", "--version"])),
    remedy: "cargo install cargo-deny --locked",
    variable: None,
};

fn subcommand(place: &Place, name: &str) -> Option<PathBuf> {
    first_line(&mut cargo(place, &[name, "--version"])).ok().map(|_| place.cargo.clone())
}

fn install_subcommand(place: &Place, name: &str, version: &str) -> Result<()> {
    // Not into this workspace's target folder: that one is for this workspace's profiles.
    succeed(
        cargo(place, &["install", name, "--version", version, "--locked", "--quiet"])
            .env_remove("CARGO_TARGET_DIR"),
    )
}

// Node and what npm brings.

const NPM: Step = Step {
    name: "npm",
    named: None,
    find: |_| on_path(&["npm"]),
    install: |_| apt(&["npm"]),
    prove: |_, npm| first_line(Command::new(npm).arg("--version")),
    remedy: "install Node.js with npm, and have npm on the PATH",
    variable: None,
};

const OLDEST_NODE: u32 = 22;

const NODE: Step = Step {
    name: "node",
    named: Some("LOOPIQ_TEST_NODE"),
    find: find_node,
    install: |place| npm_ci(place, "node"),
    prove: |_, node| {
        let version = first_line(Command::new(node).arg("--version"))?;
        match node_major(&version) {
            Some(major) if major >= OLDEST_NODE => Ok(version),
            _ => bail!("{version} is older than {OLDEST_NODE}"),
        }
    },
    remedy: "install Node.js 22 or newer and name it in LOOPIQ_TEST_NODE",
    variable: Some("LOOPIQ_TEST_NODE"),
};

fn find_node(place: &Place) -> Option<PathBuf> {
    let fits = |node: &PathBuf| {
        first_line(Command::new(node).arg("--version"))
            .ok()
            .and_then(|version| node_major(&version))
            .is_some_and(|major| major >= OLDEST_NODE)
    };
    if let Some(named) = variable("LOOPIQ_TEST_NODE").map(PathBuf::from) {
        return Some(named);
    }
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    let own = place.tools.join(format!("node/node_modules/node-{system}-{cpu}/bin/node"));
    on_path(&["node"])
        .filter(fits)
        .or_else(|| is_fresh(place, "node").then_some(own))
        .filter(|node| node.is_file())
}

fn node_major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

const NPM_PACKAGES: Step = Step {
    name: "npm packages",
    named: None,
    find: |place| is_fresh(place, "npm").then(|| place.tools.join("npm/node_modules")),
    install: |place| npm_ci(place, "npm"),
    prove: |place, modules| {
        let node = find_node(place).context("no node")?;
        let suite = modules.join("@modelcontextprotocol/conformance/dist/index.js");
        let version = first_line(Command::new(node).arg(suite).arg("--version"))?;
        for package in ["client", "inspector", "sdk"] {
            let manifest = modules.join("@modelcontextprotocol").join(package).join("package.json");
            if !manifest.is_file() {
                bail!("{} is missing", manifest.display());
            }
        }
        for package in ["oidc-provider", "axe-core"] {
            if !modules.join(package).join("package.json").is_file() {
                bail!("{package} is missing");
            }
        }
        Ok(format!(
            "conformance suite {version}, TypeScript clients, Inspector, identity provider, accessibility checker"
        ))
    },
    remedy: "npm ci in tests-tools/npm must work on this machine (is the npm registry reached?)",
    variable: Some("LOOPIQ_TEST_NPM"),
};

/// The files which say what is installed; their content is the stamp.
const NPM_MANIFESTS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

fn manifest_files(name: &str) -> &'static [&'static str] {
    if name == "venv" { &["requirements.txt"] } else { &NPM_MANIFESTS }
}

fn manifest_folder(place: &Place, name: &str) -> PathBuf {
    place.manifests().join(if name == "venv" { "python" } else { name })
}

fn npm_ci(place: &Place, name: &str) -> Result<()> {
    let folder = renewed(place, name)?;
    for file in NPM_MANIFESTS {
        let from = manifest_folder(place, name).join(file);
        std::fs::copy(&from, folder.join(file)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let npm = on_path(&["npm"]).context("no npm on the PATH")?;
    answer(Command::new(npm).current_dir(&folder).args(["ci", "--no-audit", "--no-fund"]))?;
    stamp(place, name)
}

// Python.

const PYTHON: Step = Step {
    name: "python packages",
    named: None,
    find: |place| is_fresh(place, "venv").then(|| venv_python(place)).filter(|python| python.exists()),
    install: install_python,
    prove: |_, python| {
        let version = first_line(
            Command::new(python)
                .args(["-c", "import sys, importlib.metadata as m, mcp, fastmcp; print(f'Python {sys.version.split()[0]}, mcp {m.version(\"mcp\")}, FastMCP {m.version(\"fastmcp-slim\")}')"]),
        )?;
        Ok(version)
    },
    remedy: "install Python 3.11 or newer with venv (Debian: python3-venv); is PyPI reached?",
    variable: Some("LOOPIQ_TEST_PYTHON"),
};

fn venv_python(place: &Place) -> PathBuf {
    place.tools.join("venv/bin/python")
}

fn install_python(place: &Place) -> Result<()> {
    let folder = renewed(place, "venv")?;
    let make = |python: PathBuf| answer(Command::new(python).args(["-m", "venv"]).arg(&folder)).map(|_| ());
    let made = on_path(&["python3"]).context("no python3 on the PATH").and_then(make);
    if made.is_err() {
        apt(&["python3", "python3-venv"])?;
        make(on_path(&["python3"]).context("no python3 on the PATH")?)?;
    }
    answer(
        Command::new(venv_python(place))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                // The list is whole; left to itself, pip looks past its pins for a package that is asked for with extras.
                "--no-deps",
                "--require-hashes",
                "-r",
            ])
            .arg(manifest_folder(place, "venv").join("requirements.txt")),
    )?;
    stamp(place, "venv")
}

// The browser.

const CHROMIUM: Step = Step {
    name: "chromium",
    named: Some("CHROME"),
    find: |_| on_path(&["chromium", "chromium-browser", "google-chrome"]),
    install: |_| apt(&["chromium"]),
    prove: |_, browser| first_line(Command::new(browser).arg("--version")),
    remedy: "install Chromium (Debian: apt-get install chromium) or name one in CHROME",
    variable: Some("LOOPIQ_TEST_CHROMIUM"),
};

// The database server.

const OLDEST_POSTGRES: u32 = 15;

/// The folder of the server's programs; Debian keeps them off the search path.
pub const POSTGRES: Step = Step {
    name: "postgresql",
    named: Some("LOOPIQ_TEST_POSTGRES_BIN"),
    find: |_| newest_postgres(),
    install: |_| {
        // A cluster of the machine's own would only be in the way of nobody who asked for one.
        apt(&["postgresql-common"])?;
        let settings = Path::new("/etc/postgresql-common/createcluster.conf");
        let kept = std::fs::read_to_string(settings).unwrap_or_default();
        let without = format!("{kept}\ncreate_main_cluster = false\n");
        if !kept.contains("\ncreate_main_cluster = false") && std::fs::write(settings, without).is_err() {
            println!("   the machine's own cluster will be started too");
        }
        apt(&["postgresql"])
    },
    prove: |_, programs| {
        let version = first_line(Command::new(programs.join("postgres")).arg("--version"))?;
        match postgres_major(&version) {
            Some(major) if major >= OLDEST_POSTGRES => Ok(version),
            _ => bail!("{version} is older than {OLDEST_POSTGRES}"),
        }
    },
    remedy: "install PostgreSQL 15 or newer and name the folder of initdb and pg_ctl in LOOPIQ_TEST_POSTGRES_BIN",
    variable: Some("LOOPIQ_TEST_POSTGRES_BIN"),
};

fn newest_postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        versions.filter_map(|v| Some((v.file_name().to_str()?.parse::<u32>().ok()?, v.path().join("bin"))));
    let newest =
        newest.filter(|(_, programs)| programs.join("initdb").is_file()).max().map(|(_, programs)| programs);
    newest.or_else(|| on_path(&["initdb"]).and_then(|initdb| Some(initdb.parent()?.to_path_buf())))
}

fn postgres_major(version: &str) -> Option<u32> {
    version.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

// Shared by steps.

/// The first line that a program says.
fn first_line(command: &mut Command) -> Result<String> {
    let said = answer(command)?;
    said.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned).context("it said nothing")
}

/// Installs Debian packages.
fn apt(packages: &[&str]) -> Result<()> {
    let apt = on_path(&["apt-get"]).context("this machine has no apt-get")?;
    let root = first_line(Command::new("id").arg("-u"))? == "0";
    let command = || {
        let mut command = if root {
            Command::new(&apt)
        } else {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "--preserve-env=DEBIAN_FRONTEND"]).arg(&apt);
            sudo
        };
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    answer(command().args(["update", "-qq"]))?;
    answer(command().args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages))?;
    Ok(())
}

/// An empty folder for a tool: whatever was there belongs to an older manifest or a broken installation.
fn renewed(place: &Place, name: &str) -> Result<PathBuf> {
    let folder = place.tools.join(name);
    let stamp = stamp_file(place, name);
    if stamp.exists() {
        std::fs::remove_file(&stamp).with_context(|| format!("cannot remove {}", stamp.display()))?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

fn stamp_file(place: &Place, name: &str) -> PathBuf {
    place.tools.join(format!("{name}.stamp"))
}

/// The manifest's content, as it must be in the stamp. A stamp is written after an installation has succeeded.
fn manifest(place: &Place, name: &str) -> Result<String> {
    let folder = manifest_folder(place, name);
    let mut text = String::new();
    for file in manifest_files(name) {
        let path = folder.join(file);
        text.push_str(
            &std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
        );
    }
    Ok(text)
}

fn stamp(place: &Place, name: &str) -> Result<()> {
    let file = stamp_file(place, name);
    std::fs::write(&file, manifest(place, name)?).with_context(|| format!("cannot write {}", file.display()))
}

fn is_fresh(place: &Place, name: &str) -> bool {
    let (Ok(wanted), Ok(stamped)) = (manifest(place, name), std::fs::read_to_string(stamp_file(place, name)))
    else {
        return false;
    };
    wanted == stamped
}
