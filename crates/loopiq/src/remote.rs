//! Administration of a data folder while it is served. Only one process may open a data folder; the serving one listens
//! on a Unix socket in the folder's `run` directory, which only its own user may enter, and runs the administrative
//! commands that come in there. Whoever can connect could have read and written the folder itself, so nothing is asked
//! for beyond that.
//!
//! One request per connection: the client sends a JSON document and ends its side; the answer is one JSON document.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::cli::{Admin, Failure, Report, describe};
use crate::wire::World;

/// Bytes of one request.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;
/// Time a client has to send its request.
const REQUEST_WAIT: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Request {
    /// Both sides must be the same program, so that a command means the same to both.
    version: String,
    command: Admin,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Done(Report),
    Failed(Failure),
}

fn socket(data: &Path) -> PathBuf {
    data.join("run").join("admin.sock")
}

/// Listens in a data folder this process has opened.
///
/// # Errors
/// When the socket cannot be made; the path may be too long for one.
pub fn listen(data: &Path) -> anyhow::Result<UnixListener> {
    let path = socket(data);
    let folder = path.parent().context("the socket is in a folder")?;
    if !folder.exists() {
        std::fs::DirBuilder::new().mode(0o700).create(folder).context("the folder of the socket")?;
    }
    // Left behind by a process that was killed: we hold the folder's lock, so nobody listens there.
    if path.exists() {
        std::fs::remove_file(&path).context("the socket of an earlier process")?;
    }
    Ok(UnixListener::bind(&path)?)
}

/// Answers requests, one after the other, for as long as it is polled.
pub async fn serve(listener: &UnixListener, world: &World) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = answer(stream, world).await {
                    tracing::warn!("an administrative request was not answered: {error:#}");
                }
            }
            Err(error) => {
                tracing::warn!("the administrative socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Takes the socket away.
pub fn close(data: &Path) {
    drop(std::fs::remove_file(socket(data)));
}

async fn answer(mut stream: UnixStream, world: &World) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    let mut limited = (&mut stream).take(REQUEST_BYTES_MAX);
    tokio::time::timeout(REQUEST_WAIT, limited.read_to_end(&mut bytes))
        .await
        .context("the request did not come in time")??;
    let answer = match serde_json::from_slice::<Request>(&bytes) {
        Ok(request) if request.version == env!("CARGO_PKG_VERSION") => match request.command.run(world).await
        {
            Ok(report) => Answer::Done(report),
            Err(error) => Answer::Failed(describe(&error)),
        },
        _ => Answer::Failed(Failure::new(
            "the serving process is another version of this program",
            "Use the same version for both, or stop the server first.",
        )),
    };
    stream.write_all(&serde_json::to_vec(&answer)?).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Asks the process that serves a data folder to run a command.
///
/// # Errors
/// What the command failed with there, or that nobody answers.
pub async fn ask(data: &Path, command: &Admin) -> anyhow::Result<Report> {
    let connected = UnixStream::connect(socket(data)).await;
    let mut stream = connected.map_err(|error| {
        anyhow::Error::new(error).context(Failure::new(
            format!("the data folder {} is in use by a process that takes no commands", data.display()),
            "Try again if a command or a server is just starting; otherwise stop that process.",
        ))
    })?;
    // A borrowed twin of `Request` would be one more type to keep in step; JSON does without.
    let request = serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "command": command });
    stream.write_all(&serde_json::to_vec(&request)?).await?;
    stream.shutdown().await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.context("the serving process went away")?;
    match serde_json::from_slice(&bytes).context("the serving process went away")? {
        Answer::Done(report) => Ok(report),
        Answer::Failed(failure) => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::cli::Admin;
    use crate::config::{Config, Sources};
    use crate::wire;

    #[tokio::test]
    async fn commands_reach_the_process_that_serves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let flags = BTreeMap::from([("data", folder.path().display().to_string())]);
        let sources = Sources { flags, environment: &|_| None, file: None };
        let (config, _) = Config::load(&sources).unwrap();
        let world = wire::open(&config).await.unwrap();
        let second = wire::open(&config).await.err().unwrap();
        assert!(wire::in_use(&second));
        let nobody = super::ask(folder.path(), &Admin::OrgList).await.unwrap_err();
        assert!(nobody.to_string().contains("takes no commands"), "{nobody}");

        world.identity.create_organization("acme", "Acme", &[]).await.unwrap();
        let listener = super::listen(folder.path()).unwrap();
        let report = tokio::select! {
            () = super::serve(&listener, &world) => None,
            report = super::ask(folder.path(), &Admin::OrgList) => Some(report.unwrap()),
        };
        assert_eq!(report.unwrap().json.len(), 1);
        drop(listener);
        // What a killed process leaves behind is no hindrance to the next.
        super::listen(folder.path()).unwrap();
    }
}
