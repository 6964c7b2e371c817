//! `cargo xtask speed`: how long the server takes for each page of the console on the demo. Starts the release binary, signs
//! in, finds the pages by following their links, and loads each many times. A figure to look at, not a test: what it says
//! depends on the machine.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::now;
use crate::test::release_binary;

/// How often each page is loaded.
const TIMES: usize = 30;

/// What a page may take of the server, in milliseconds.
const GOAL_MILLISECONDS: f64 = 50.0;

/// Where nothing is to be looked at: streams, files, forms of single commands, ways out.
const NO_PAGES: [&str; 6] =
    ["/app/do/", "/app/events", "/app/login", "/app/logout", "/app/audit/export", "/app/assistant"];

/// Ends with what holds it.
struct Demo {
    child: Child,
    folder: PathBuf,
    address: String,
    cookie: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub fn run(place: &Place, binary: Option<&String>) -> Result<()> {
    let binary = binary.map_or_else(|| release_binary(place), |named| Ok(PathBuf::from(named)))?;
    let demo = Demo::start(place, &binary)?;
    let pages = demo.pages()?;
    println!("{:>8} {:>8} {:>8}  page, {TIMES} times each", "median", "most", "kB");
    let mut slow = 0;
    for (shape, path) in &pages {
        let mut taken = Vec::new();
        let mut bytes = 0;
        for _ in 0..TIMES {
            let begun = now();
            bytes = demo.get(path)?.1.len();
            taken.push((now() - begun).as_secs_f64() * 1000.0);
        }
        taken.sort_by(f64::total_cmp);
        let median = taken.get(TIMES / 2).copied().unwrap_or_default();
        let most = taken.last().copied().unwrap_or_default();
        slow += usize::from(median > GOAL_MILLISECONDS);
        println!("{median:>5.1} ms {most:>5.1} ms {:>8.1}  {shape}", bytes as f64 / 1000.0);
    }
    println!("{} pages, {slow} over {GOAL_MILLISECONDS} ms", pages.len());
    Ok(())
}

impl Demo {
    fn start(place: &Place, binary: &Path) -> Result<Demo> {
        let folder = place.target.join("speed");
        drop(std::fs::remove_dir_all(&folder));
        let mut child = Command::new(binary)
            .args(["demo", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(&folder)
            .env("LOOPIQ_CALLS_PER_MINUTE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let output = child.stdout.take().context("it says nothing")?;
        let mut demo = Demo { child, folder, address: String::new(), cookie: String::new() };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let url = member(&line, "url").context("the demo does not say where it serves")?;
        demo.address = url.replace("http://", "");
        // The first person administers the organization, and sees every page.
        let (email, password) = (member(&line, "email"), member(&line, "password"));
        let (email, password) = email.zip(password).context("the demo names nobody")?;
        let body = format!("{{\"email\":\"{email}\",\"password\":\"{password}\"}}");
        let (head, _) = demo.ask("POST", "/api/v1/session", "Content-Type: application/json\r\n", &body)?;
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).context("nobody could sign in")?;
        demo.cookie = format!("Cookie: {cookie}\r\n");
        Ok(demo)
    }

    /// Head and body of an answer.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Result<(String, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let host = &self.address;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        Ok((head.to_owned(), body.to_owned()))
    }

    fn get(&self, path: &str) -> Result<(String, String)> {
        let (head, body) = self.ask("GET", path, &self.cookie, "")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{path}: {}", head.lines().next().unwrap_or_default());
        }
        Ok((head, body))
    }

    /// One page of each shape, found by links: the path by what it is without its ids.
    fn pages(&self) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let mut open: VecDeque<String> = ["/app".to_owned(), "/app/connect".to_owned()].into();
        while let Some(path) = open.pop_front() {
            let shape = shape(&path);
            if found.contains_key(&shape) {
                continue;
            }
            let (_, page) = self.get(&path)?;
            found.insert(shape, path);
            let links = page.split("href=\"/app").skip(1).filter_map(|rest| rest.split(['"', '#']).next());
            let links = links.map(|rest| format!("/app{}", rest.replace("&amp;", "&")));
            open.extend(links.filter(|link| !NO_PAGES.iter().any(|way| link.starts_with(way))));
        }
        Ok(found)
    }
}

/// A path without ids and without values of its query.
fn shape(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_id = |part: &&str| part.len() > 20 || part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = path.split('/').map(|part| if is_id(&part) && !part.is_empty() { "…" } else { part });
    let mut shape = parts.collect::<Vec<_>>().join("/");
    let names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    if !query.is_empty() {
        shape.push('?');
        shape.push_str(&names.join("&"));
    }
    shape
}

/// The first text of a name in a line of JSON.
fn member(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next().map(str::to_owned)
}
