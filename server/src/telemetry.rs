//! Where log lines go: to standard error, so that standard output stays for results.

use tracing_subscriber::EnvFilter;

/// Starts logging at `info`; `POLYLOGUE_LOG` sets another level or filter, as in `server=debug`.
/// A second call changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("POLYLOGUE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn,tower_http=warn"));
    // An error means that a subscriber is there already, as in tests.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}
