//! A run's adapters as they are now: finished ones, and the newest checkpoint of one that is being
//! tuned, saved like any other adapter so that people can talk to it.

use std::path::PathBuf;

use app::api::AdapterInfo;

use super::{JobError, Method};
use crate::store::AdapterRow;
use engine::tuning::{peft, snapshot};

impl Method {
    /// Loads the run's adapter `name` for everybody to use, and says under which name:
    /// `method-3/joint`, or `method-3/joint@step-12` while it is tuned.
    ///
    /// # Errors
    /// A name that the run doesn't have, an adapter without a checkpoint so far, or files that
    /// can't be read or written.
    pub async fn open_adapter(&self, name: &str) -> Result<AdapterInfo, JobError> {
        let Some((place, target)) = self.target(name) else {
            let known: Vec<String> =
                self.settings.adapters().iter().map(|(_, t)| format!("`{}`", t.name())).collect();
            let rule = format!("the run `{}` has no adapter `{name}`", self.run);
            return Err(JobError::refused(rule, format!("It has {}.", known.join(", "))));
        };
        if let Some(done) = self.tuned().await?.get(name) {
            if done.hash.is_none() {
                let rule = format!("`{name}` had no instance to learn from, so it is no adapter");
                return Err(JobError::refused(rule, "Talk to another one."));
            }
            let (loaded, folder) = (self.adapter_name(name), self.folder(name));
            return Ok(self.engine.load_adapter(&loaded, &folder).await?);
        }
        let folder = |step| {
            let kept = self.store.run_folder(&self.run).join("checkpoints");
            kept.join(format!("{name}@step-{step}"))
        };
        let Some(step) = self.save_newest(place, name, folder).await? else {
            let rule = format!("`{name}` has no checkpoint yet");
            return Err(JobError::refused(rule, "Wait for its first updates."));
        };
        let loaded = self.adapter_name(&format!("{name}@step-{step}"));
        let info = self.engine.load_adapter(&loaded, &folder(step)).await?;
        // Registered, so that a link to it works after a restart.
        let row = AdapterRow {
            base_hash: self.engine.base_hash().to_owned(),
            name: loaded,
            hash: info.hash.clone(),
            culture: target.culture(),
            run: Some(self.run.clone()),
            folder: folder(step),
        };
        self.store.put_adapter(&row).await?;
        Ok(info)
    }

    /// Saves the newest checkpoint of an adapter into the folder that `folder` gives for its number
    /// of updates, and returns that number; `None` where there is no checkpoint.
    ///
    /// # Errors
    /// Files that can't be read or written.
    pub(super) async fn save_newest(
        &self,
        place: usize,
        name: &str,
        folder: impl Fn(usize) -> PathBuf,
    ) -> Result<Option<usize>, JobError> {
        let (model, config) = (self.engine.model(), self.tune_config(place));
        let checkpoints = self.checkpoints(name);
        let read = move || snapshot::newest(&model.decoder, &config, &checkpoints);
        let newest = tokio::task::spawn_blocking(read).await;
        let newest = newest.map_err(|panic| JobError::broken_off(&panic))??;
        let Some((step, adapter)) = newest else { return Ok(None) };
        let step = step as usize;
        let folder = folder(step);
        let (base_name, base_hash) =
            (self.engine.info().name.clone(), self.engine.base_hash().to_owned());
        let save = move || peft::save(&folder, &adapter, &base_name, &base_hash);
        let saved = tokio::task::spawn_blocking(save).await;
        saved.map_err(|panic| JobError::broken_off(&panic))??;
        Ok(Some(step))
    }
}
