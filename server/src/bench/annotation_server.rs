//! The server of the annotation bench as a process that can be killed, and its clients.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use app::api::annotation::Joined;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::BenchError;
use super::annotation::failed;
use crate::config::DATABASE_VARIABLE;
use crate::store::DatabaseUrl;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `polylogue serve` in a process of its own; it ends with its handle.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
    database: Option<DatabaseUrl>,
}

impl Server {
    /// Starts it and waits until it listens.
    pub fn start(
        folder: &Path,
        address: SocketAddr,
        database: Option<&DatabaseUrl>,
    ) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(|error| failed("find the program", error))?;
        let mut command = Command::new(program);
        // Not as an argument, which everybody on the machine can read.
        match database {
            Some(database) => command.env(DATABASE_VARIABLE, database.text()),
            None => command.env_remove(DATABASE_VARIABLE),
        };
        let mut child = command
            .args(["serve", "--device", "cpu", "--addr", &address.to_string(), "--data"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed("start the server", error))?;
        let lines = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
        let said = lines.map_while(Result::ok).any(|line| line.contains("listening"));
        let database = database.cloned();
        let server = Self { child, folder: folder.to_owned(), address, database };
        if said { Ok(server) } else { Err(failed("start the server", "it ended at once")) }
    }

    /// Kills it without a warning, and starts it again on the same data and address.
    pub fn kill_and_restart(self) -> Result<Self, BenchError> {
        let (folder, address, database) =
            (self.folder.clone(), self.address, self.database.clone());
        drop(self);
        Self::start(&folder, address, database.as_ref())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL on Unix; a process that has ended is fine too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who talks to the server.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    address: SocketAddr,
    joined: Option<Joined>,
}

impl Client {
    /// Somebody who is in no project.
    pub fn outside(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build();
        Self { agent: config.into(), address, joined: None }
    }

    /// A member of a project.
    pub fn inside(address: SocketAddr, joined: Joined) -> Self {
        Self { joined: Some(joined), ..Self::outside(address) }
    }

    /// Somebody who is in no project of the same server.
    pub fn stranger(&self) -> Self {
        Self::outside(self.address)
    }

    fn url(&self, path: &str) -> String {
        let project = self.joined.as_ref().map(|joined| format!("/projects/{}", joined.project));
        format!("http://{}/api/annotation{}{path}", self.address, project.unwrap_or_default())
    }

    /// Where the project's room is.
    pub fn socket_url(&self) -> String {
        self.url("/socket").replacen("http", "ws", 1)
    }

    /// The member's key; empty outside of all projects.
    pub fn token(&self) -> &str {
        self.joined.as_ref().map_or("", |joined| &joined.token)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token())
    }

    /// Reads an address below the member's project.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, BenchError> {
        let request = self.agent.get(self.url(path)).header("authorization", self.bearer());
        parsed(request.call())
    }

    /// Sends `body` to an address below the member's project, or to one outside of all projects.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, BenchError> {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        parsed(request.content_type("application/json").send(body.to_string()))
    }
}

fn parsed<T: DeserializeOwned>(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<T, BenchError> {
    let mut answer = answer.map_err(|error| failed("reach the server", error))?;
    let text = answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string();
    let text = text.map_err(|error| failed("read an answer", error))?;
    serde_json::from_str(&text).map_err(|error| failed("read an answer", error))
}
