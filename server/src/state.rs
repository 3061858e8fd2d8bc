//! What every request handler shares.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use app::api::CommandOptions;
use axum::extract::FromRef;
use domain::culture::{Culture, CultureCode};
use leptos::prelude::LeptosOptions;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::annotation::Rooms;
use crate::http::Proxies;
use crate::jobs::{MethodRuns, SurveyRuns};
use crate::store::{News, Store, StoreError};
use engine::Engine;

/// Cheap to clone; all clones share the same engine and store.
#[derive(Clone)]
pub struct AppState {
    /// Generates and scores.
    pub engine: Engine,
    /// Everything that is kept.
    pub store: Store,
    /// Survey runs at work and their progress.
    pub survey_runs: SurveyRuns,
    /// Runs of the method at work and their progress.
    pub method_runs: MethodRuns,
    /// Rooms in which people judge instances.
    pub rooms: Rooms,
    /// Whether the server is about to end.
    pub closing: Closing,
    /// What gives a command the same model and templates.
    pub options: CommandOptions,
    proxies: Proxies,
    cultures: Arc<RwLock<Arc<[Culture]>>>,
    leptos: LeptosOptions,
}

/// Tells streams without an end of their own that the server is closing; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Closing(Arc<watch::Sender<bool>>);

impl Closing {
    /// Ends those streams.
    pub fn close(&self) {
        self.0.send_replace(true);
    }

    /// Resolves when the server closes.
    pub async fn closed(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|closing| *closing).await;
    }
}

impl AppState {
    /// `site` is the folder with the built client; `cultures` are those a persona can name.
    pub fn new(
        engine: Engine,
        store: Store,
        (survey_runs, method_runs): (SurveyRuns, MethodRuns),
        cultures: Vec<Culture>,
        site: &Path,
    ) -> Self {
        let leptos = LeptosOptions::builder()
            .output_name("polylogue")
            .site_root(site.to_string_lossy().into_owned())
            .site_pkg_dir("pkg")
            .build();
        let cultures = Arc::new(RwLock::new(cultures.into()));
        let (rooms, closing) = (Rooms::new(store.clone()), Closing::default());
        let (proxies, options) = (Proxies::default(), CommandOptions::default());
        Self {
            engine,
            store,
            survey_runs,
            method_runs,
            rooms,
            closing,
            options,
            proxies,
            cultures,
            leptos,
        }
    }

    /// The same, started with what these options say.
    pub fn started_with(self, options: CommandOptions) -> Self {
        Self { options, ..self }
    }

    /// The same behind these proxies.
    pub fn behind(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// Cultures that a persona can name, in display order.
    pub fn cultures(&self) -> Arc<[Culture]> {
        // A list is replaced whole, so that even after a panic it is one.
        Arc::clone(&self.cultures.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the cultures of all surveys in the store, in the order of surveys.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn refresh_cultures(&self) -> Result<(), StoreError> {
        let mut all: Vec<Culture> = Vec::new();
        for survey in self.store.surveys().await? {
            for culture in survey.cultures {
                if !all.iter().any(|known| known.code == culture.code) {
                    all.push(culture);
                }
            }
        }
        *self.cultures.write().unwrap_or_else(PoisonError::into_inner) = all.into();
        Ok(())
    }

    /// Takes the cultures of surveys that other servers on the same database store, until the server
    /// closes.
    pub async fn follow_surveys(&self) {
        let Some(mut news) = self.store.listen() else { return };
        loop {
            let heard = tokio::select! {
                heard = news.recv() => heard,
                () = self.closing.closed() => return,
            };
            match heard {
                Ok(News::Surveys | News::Anything) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            }
            if let Err(error) = self.refresh_cultures().await {
                tracing::warn!(code = error.code(), "{error}");
            }
        }
    }

    /// The culture with this code.
    pub fn culture(&self, code: CultureCode) -> Option<Culture> {
        self.cultures().iter().find(|culture| culture.code == code).cloned()
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}

impl FromRef<AppState> for Proxies {
    fn from_ref(state: &AppState) -> Self {
        state.proxies.clone()
    }
}
