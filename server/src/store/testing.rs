//! A PostgreSQL of one's own, for tests of the store and of several servers.
//!
//! Always compiled, as [`engine::testing`] is: other crates' tests use it. Nothing of the product does.
#![expect(clippy::expect_used, reason = "a test without its database has to stop")]

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::DatabaseUrl;

/// Names the folder with `initdb` and `postgres`, where they are in no usual place.
const PROGRAMS: &str = "POLYLOGUE_POSTGRES";

/// Where Debian keeps a folder per version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Longest wait for a server that begins.
const PATIENCE: Duration = Duration::from_secs(60);

/// A role that has to give [`PASSWORD`].
pub const GUARDED: &str = "guarded";

/// See [`GUARDED`].
pub const PASSWORD: &str = "open-sesame";

/// A PostgreSQL server on a folder and a socket of its own. It ends with its handle, and also when the
/// test is killed: then the pipe to the shell that watches over it closes.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    watcher: Child,
}

impl Postgres {
    /// Makes and starts one, and waits until it answers.
    ///
    /// # Panics
    /// Where PostgreSQL's programs are missing: its tests are ignored unless asked for.
    pub async fn start() -> Self {
        let programs = programs().expect("PostgreSQL: install Debian's package `postgresql`");
        let folder = TempDir::with_prefix("polylogue-pg-").expect("a folder");
        let data = folder.path().join("data");
        let run = |program: &str| {
            let mut command = Command::new(program);
            command.current_dir("/").env("LC_ALL", "C.UTF-8").env_remove("PGDATA");
            as_somebody(&mut command, folder.path());
            command
        };
        let made = run(&programs.join("initdb").to_string_lossy())
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let rules = format!("local all {GUARDED} scram-sha-256\nlocal all all trust\n");
        fs::write(data.join("pg_hba.conf"), rules).expect("rules");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        // A shell that ends the server when its own input ends, which is when we do.
        let watcher = run("sh")
            .args(["-c", "\"$@\" </dev/null & read -r end; kill -QUIT $!; wait $!", "watcher"])
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres");
        let postgres = Self { folder, watcher };
        postgres.wait().await;
        postgres
    }

    async fn wait(&self) {
        let began = Instant::now();
        loop {
            match PgConnection::connect(self.url("postgres").text()).await {
                Ok(connection) => return drop(connection.close().await),
                Err(error) if began.elapsed() > PATIENCE => {
                    let mut log = String::new();
                    let file = fs::File::open(self.folder.path().join("log"));
                    let _ = file.and_then(|mut file| file.read_to_string(&mut log));
                    panic!("{error}\n{log}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Address of its database for this role; `postgres` may do everything.
    pub fn url(&self, role: &str) -> DatabaseUrl {
        self.database(role, "postgres")
    }

    /// Address of the database `name` for this role, with an empty password.
    pub fn database(&self, role: &str, name: &str) -> DatabaseUrl {
        let folder = self.folder.path().display();
        let Ok(url) = format!("postgres://{role}@localhost/{name}?host={folder}").parse();
        url
    }

    /// Says something to it, as `postgres`.
    pub async fn execute(&self, statement: &'static str) {
        let mut connection =
            PgConnection::connect(self.url("postgres").text()).await.expect("a connection");
        sqlx::raw_sql(statement).execute(&mut connection).await.expect(statement);
        connection.close().await.expect("an end");
    }

    /// Breaks every connection but the one that asks for it.
    pub async fn cut_connections(&self) {
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        .await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// The folder of PostgreSQL's programs: the one that was named, one on the PATH, or Debian's newest.
fn programs() -> Option<PathBuf> {
    let named = env::var_os(PROGRAMS).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = || {
        let versions = fs::read_dir(DEBIAN).ok()?.flatten();
        let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Some(Path::new(DEBIAN).join(newest.max()?.to_string()).join("bin"))
    };
    let candidates = named.into_iter().chain(env::split_paths(&path)).chain(debian());
    candidates.into_iter().find(|folder| folder.join("initdb").is_file())
}

/// PostgreSQL refuses to be root: then it is the user whom Debian's package makes.
#[cfg(unix)]
fn as_somebody(command: &mut Command, folder: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;
    // What we have just made is ours.
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let _ = fields.next().filter(|name| *name == "postgres")?;
        let mut numbers = fields.skip(1).map_while(|field| field.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    let (user, group) = user.expect("a user `postgres`, as Debian's package makes one");
    chown(folder, Some(user), Some(group)).expect("the folder for `postgres`");
    command.uid(user).gid(group);
}

/// Elsewhere nobody is root.
#[cfg(not(unix))]
fn as_somebody(_: &mut Command, _: &Path) {}
