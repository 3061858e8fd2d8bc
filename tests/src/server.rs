//! The real `polylogue serve` on a free port, with a data folder of its own.

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{child, setting};

/// A running server; dropping it kills the process and removes the data.
#[derive(Debug)]
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    _process: Child,
    _data: TempDir,
}

impl Server {
    /// Starts the server and waits until it says where it listens.
    ///
    /// # Panics
    /// When it doesn't start.
    pub async fn start(journey: &str) -> Self {
        let client = setting::site().join("pkg/polylogue.js");
        assert!(
            client.is_file(),
            "`{}` is missing\n`cargo xtask test --only journeys` builds it first",
            client.display()
        );
        let data = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = Command::new(setting::server());
        command.args(["serve", "--addr", "127.0.0.1:0", "--device", "cpu", "--data"]);
        command.arg(data.path()).arg("--site").arg(setting::site());
        let (process, address) =
            child::start(&mut command, &format!("{journey}.server"), address_in).await;
        Self { address, _process: process, _data: data }
    }
}

/// The address in a line such as `Polylogue listens on http://127.0.0.1:41234`.
fn address_in(line: &str) -> Option<String> {
    let address = line.split_whitespace().find(|word| word.starts_with("http://"))?;
    Some(address.trim_end_matches(['/', '.', ',']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_its_line() {
        for (line, expect) in [
            ("Polylogue listens on http://127.0.0.1:41234", Some("http://127.0.0.1:41234")),
            ("open http://127.0.0.1:80/ in a browser", Some("http://127.0.0.1:80")),
            ("loading the model", None),
        ] {
            assert_eq!(address_in(line).as_deref(), expect, "{line}");
        }
    }
}
