//! Chromium with a fresh profile, and the driver that steers it.

use std::time::Duration;

use fantoccini::wd::{Capabilities, TimeoutConfiguration};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{child, setting};

/// How long a script in the page may wait for something to become true.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Flags that make Chromium run without a screen, quietly, and alone.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// A running browser; [`Browser::close`] ends it, and dropping it ends at least its driver.
#[derive(Debug)]
pub struct Browser {
    /// Steers it.
    pub client: Client,
    _driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty page.
    ///
    /// # Panics
    /// When browser or driver don't start.
    pub async fn start(journey: &str) -> Self {
        let mut command = Command::new(setting::chromedriver());
        let (driver, port) =
            child::start(command.arg("--port=0"), &format!("{journey}.driver"), port_in).await;
        let profile = tempfile::tempdir().expect("a temporary folder can be made");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&profile))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        // A script reports for itself that it waited in vain, a little before the driver would.
        let script = PATIENCE + Duration::from_secs(10);
        let limits = TimeoutConfiguration::new(Some(script), Some(PATIENCE), None);
        client.update_timeouts(limits).await.expect("the driver takes time limits");
        Self { client, _driver: driver, _profile: profile }
    }

    /// Closes the browser; a browser that is gone already is fine too.
    pub async fn close(self) {
        let _ = self.client.close().await;
    }
}

fn capabilities(profile: &TempDir) -> Capabilities {
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    flags.push(format!("--user-data-dir={}", profile.path().display()));
    let options = json!({ "binary": setting::chromium(), "args": flags });
    let mut capabilities = Capabilities::new();
    capabilities.insert("goog:chromeOptions".to_owned(), options);
    capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
    capabilities
}

/// The port in `ChromeDriver was started successfully on port 34567.`
fn port_in(line: &str) -> Option<u16> {
    let rest = line.split_once("started successfully on port ")?.1;
    rest.trim_end_matches('.').trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_its_line() {
        let said = "ChromeDriver was started successfully on port 34567.";
        assert_eq!(port_in(said), Some(34567));
        assert_eq!(port_in("Starting ChromeDriver 156.0 on port 0"), None);
    }
}
