//! PostgreSQL servers for tests: data of their own in a temporary folder, a free port on loopback, perhaps a standby.
//! Also part of the automation, which starts one server for a whole test run.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

/// Connections over all test processes at once.
const CONNECTIONS_MAX: u32 = 400;

/// The same sorting on every machine; whoever reaches the port is trusted.
const INITDB: &[&str] = &["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];

/// What is committed waits until the standby has it too, unless a transaction says that it need not.
const ONE_OF_A_PAIR: &str = "-c fsync=off -c synchronous_standby_names=* -c synchronous_commit=local";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running server; stopped and removed when dropped.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// PostgreSQL refuses to run as root; then it runs as this user and group.
    user: Option<(u32, u32)>,
    port: u16,
}

impl Server {
    /// A server in which nothing needs to survive a power cut. `programs` holds `initdb` and `pg_ctl`.
    pub fn start(programs: &Path) -> Result<Server> {
        let server = Server::prepared(programs)?;
        server.run("initdb", INITDB)?;
        server.up("-c fsync=off -c full_page_writes=off")?;
        Ok(server)
    }

    /// A server whose commits reach the disk, for measurements.
    pub fn start_durable(programs: &Path) -> Result<Server> {
        let server = Server::prepared(programs)?;
        server.run("initdb", INITDB)?;
        server.up("")?;
        Ok(server)
    }

    /// A server that answers only over TLS, with this certificate and key in PEM.
    pub fn start_tls(programs: &Path, certificate: &str, key: &str) -> Result<Server> {
        let server = Server::prepared(programs)?;
        server.run("initdb", INITDB)?;
        let data = server.folder.join("data");
        std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n")?;
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = data.join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            if let Some((user, group)) = server.user {
                std::os::unix::fs::chown(&path, Some(user), Some(group))?;
            }
        }
        server.up("-c fsync=off -c ssl=on")?;
        Ok(server)
    }

    /// A server whose every commit waits until a standby has it.
    pub fn start_primary(programs: &Path) -> Result<Server> {
        let server = Server::prepared(programs)?;
        server.run("initdb", INITDB)?;
        server.up(ONE_OF_A_PAIR)?;
        Ok(server)
    }

    /// A standby of this primary, following it; it too waits for a standby once it is the primary.
    pub fn standby(&self) -> Result<Server> {
        let standby = Server::prepared(&self.programs)?;
        standby.follow(self)?;
        Ok(standby)
    }

    /// Makes this server, which does not run, a standby of a primary: at its own address, with nothing of what it had.
    pub fn follow(&self, primary: &Server) -> Result<()> {
        let data = self.folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let primary = format!("host=127.0.0.1 port={} user=postgres application_name=standby", primary.port);
        self.run("pg_basebackup", &["-R", "-X", "stream", "-c", "fast", "-d", &primary])?;
        self.up(ONE_OF_A_PAIR)
    }

    /// For the superuser, without a database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}", self.address())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes a standby the primary.
    pub fn promote(&self) -> Result<()> {
        self.run("pg_ctl", &["-w", "promote"])
    }

    /// Ends the server at once, as a power cut would.
    pub fn cut(&self) -> Result<()> {
        self.run("pg_ctl", &["-m", "immediate", "-w", "stop"])
    }

    fn prepared(programs: &Path) -> Result<Server> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("loopiq-postgres-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let user = if id(&["-u"])? == 0 {
            let user = (id(&["-u", "postgres"])?, id(&["-g", "postgres"])?);
            std::os::unix::fs::chown(&folder, Some(user.0), Some(user.1))?;
            Some(user)
        } else {
            None
        };
        Ok(Server { programs: programs.to_owned(), folder, user, port })
    }

    fn up(&self, settings: &str) -> Result<()> {
        let port = self.port;
        let settings = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c \
             max_connections={CONNECTIONS_MAX} {settings}"
        );
        let log = self.folder.join("log");
        self.run("pg_ctl", &["-o", &settings, "-w", "-l", &log.to_string_lossy(), "start"])
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())
    }

    /// Runs one of the server's programs on its data. The output goes to a file, because the server inherits it and
    /// would keep a pipe open.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let path = self.folder.join(program);
        let output = std::fs::File::create(&path)?;
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder).arg("-D").arg(self.folder.join("data")).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let status = command.status().with_context(|| format!("cannot start {program}"))?;
        if !status.success() {
            bail!("{program} failed: {status}\n{}", std::fs::read_to_string(&path).unwrap_or_default());
        }
        Ok(())
    }
}

fn id(arguments: &[&str]) -> Result<u32> {
    let said = Command::new("id").args(arguments).output().context("cannot start id")?;
    let said = String::from_utf8_lossy(&said.stdout);
    said.trim().parse().with_context(|| format!("id {} said {said:?}", arguments.join(" ")))
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.cut());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
