//! A PostgreSQL server for one test run: its own data in a temporary folder, a free port on loopback, nothing durable.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::answer;

/// Connections over all test processes at once.
const CONNECTIONS_MAX: u32 = 400;

/// A running server; stopped and removed when dropped.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// PostgreSQL refuses to run as root; then it runs as this user and group.
    user: Option<(u32, u32)>,
    /// For the superuser, without a database.
    pub url: String,
}

impl Server {
    /// `programs` holds `initdb` and `pg_ctl`.
    pub fn start(programs: &Path) -> Result<Server> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("loopiq-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let number = |arguments: &[&str]| -> Result<u32> {
            Ok(answer(Command::new("id").args(arguments))?.trim().parse()?)
        };
        let user = if number(&["-u"])? == 0 {
            let user = (number(&["-u", "postgres"])?, number(&["-g", "postgres"])?);
            std::os::unix::fs::chown(&folder, Some(user.0), Some(user.1))?;
            Some(user)
        } else {
            None
        };
        let url = format!("postgres://postgres@127.0.0.1:{port}");
        let server = Server { programs: programs.to_owned(), folder, user, url };
        let data = server.folder.join("data");
        let data = data.to_string_lossy();
        // The same sorting on every machine; nothing of a test run needs to survive a power cut.
        answer(server.command("initdb").args([
            "-D",
            &data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]))?;
        let settings = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c \
             full_page_writes=off -c max_connections={CONNECTIONS_MAX}"
        );
        let log = server.folder.join("log");
        answer(server.command("pg_ctl").args([
            "-D",
            &data,
            "-o",
            &settings,
            "-w",
            "-l",
            &log.to_string_lossy(),
            "start",
        ]))
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(server)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.join("data");
        drop(answer(self.command("pg_ctl").args([
            "-D",
            &data.to_string_lossy(),
            "-m",
            "immediate",
            "-w",
            "stop",
        ])));
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
