//! What every request handler shares.

use std::path::Path;
use std::sync::Arc;

use axum::extract::FromRef;
use domain::culture::{Culture, CultureCode};
use leptos::prelude::LeptosOptions;

use crate::annotation::Rooms;
use crate::engine::Engine;
use crate::jobs::SurveyRuns;
use crate::store::Store;

/// Cheap to clone; all clones share the same engine and store.
#[derive(Clone)]
pub struct AppState {
    /// Generates and scores.
    pub engine: Engine,
    /// Everything that is kept.
    pub store: Store,
    /// Survey runs at work and their progress.
    pub survey_runs: SurveyRuns,
    /// Rooms in which people judge instances.
    pub rooms: Rooms,
    cultures: Arc<[Culture]>,
    leptos: LeptosOptions,
}

impl AppState {
    /// `site` is the folder with the built client; `cultures` are those a persona can name.
    pub fn new(
        engine: Engine,
        store: Store,
        survey_runs: SurveyRuns,
        cultures: Vec<Culture>,
        site: &Path,
    ) -> Self {
        let leptos = LeptosOptions::builder()
            .output_name("polylogue")
            .site_root(site.to_string_lossy().into_owned())
            .site_pkg_dir("pkg")
            .build();
        let rooms = Rooms::new(store.clone());
        Self { engine, store, survey_runs, rooms, cultures: cultures.into(), leptos }
    }

    /// Cultures that a persona can name, in display order.
    pub fn cultures(&self) -> &[Culture] {
        &self.cultures
    }

    /// The culture with this code.
    pub fn culture(&self, code: CultureCode) -> Option<&Culture> {
        self.cultures.iter().find(|culture| culture.code == code)
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}
