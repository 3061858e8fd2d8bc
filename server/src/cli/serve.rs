//! `polylogue serve`: opens everything, prints the address, serves until it is stopped.

use std::error::Error;

use app::api::CommandOptions;
use tokio::net::TcpListener;

use crate::config::ServeArgs;
use crate::http::{self, Proxies};
use crate::jobs::{MethodRuns, SurveyRuns};
use crate::starter::world::world;
use crate::state::AppState;
use crate::store::Store;
use engine::Engine;

/// The client's script within its folder.
const CLIENT: &str = "pkg/polylogue.js";

/// Serves until an interrupt or a termination.
pub(super) async fn run(args: ServeArgs) -> Result<(), Box<dyn Error>> {
    // First of all: who can't be reached doesn't begin to work.
    let listener = TcpListener::bind(args.addr).await.map_err(|error| {
        format!("can't listen on `{}`: {error}\nName another address with `--addr`.", args.addr)
    })?;
    let site = args.site();
    if !site.join(CLIENT).is_file() {
        tracing::warn!(
            "the client isn't in `{}`: pages are shown, but nothing on them works. Run `cargo xtask serve` \
             once, or name its folder with `--site`",
            site.display()
        );
    }
    let store = args.store.open().await?;
    store.put_survey(world().survey()).await?;
    let templates = args.templates.read()?;
    let options =
        CommandOptions { model: args.model.options(), templates: args.templates.options() };
    let engine = args.model.start().await?;
    load_adapters(&engine, &store).await?;
    let runs = SurveyRuns::new(engine.clone(), store.clone()).with_templates(templates.clone());
    let methods = MethodRuns::new(engine.clone(), store.clone()).with_templates(templates);
    let resumed = runs.resume().await? + methods.resume_all().await?;
    if resumed > 0 {
        tracing::info!(runs = resumed, "going on with unfinished runs");
    }
    // The port that was taken, which port 0 leaves to the system.
    println!("listening on http://{}", listener.local_addr()?);
    let cultures = world().survey().cultures.clone();
    let state = AppState::new(engine, store, (runs, methods), cultures, &site)
        .started_with(options)
        .behind(Proxies::new(&args.proxy));
    state.refresh_cultures().await?;
    let following = state.clone();
    tokio::spawn(async move { following.follow_surveys().await });
    http::serve(state, listener, stopped()).await?;
    Ok(())
}

/// Loads what was tuned in this data folder. A broken adapter is told and left out: the server is
/// of use without it.
async fn load_adapters(engine: &Engine, store: &Store) -> Result<(), Box<dyn Error>> {
    for adapter in store.adapters(engine.base_hash()).await? {
        if let Err(error) = engine.load_adapter(&adapter.name, &adapter.folder).await {
            tracing::warn!(adapter = adapter.name, "{error}");
        }
    }
    Ok(())
}

/// Resolves at an interrupt or a termination.
#[cfg(unix)]
pub(super) async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Resolves at an interrupt.
#[cfg(not(unix))]
pub(super) async fn stopped() {
    let _ = tokio::signal::ctrl_c().await;
}
