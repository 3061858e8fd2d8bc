//! The guard of general ability: what an adapter of a run costs on ordinary conversations.

use std::sync::Arc;

use domain::score::Ability;
use engine::tuning::ability::Guard;
use engine::tuning::peft;

use super::general::{self, Use};
use super::tune::TunedAdapter;
use super::{JobError, Method};
use crate::store::{Unit, UnitKey};

/// Not a step of the method: a run is complete without it, and its manifest doesn't count it.
const STEP: &str = "ability";

/// Replies that are measured on.
const MEASURED: usize = 200;

impl Method {
    /// What one of the run's adapters costs in general ability, measured once on conversations that no
    /// step has learnt: those of the run's file, or the starter's own talk. `None` where the run has
    /// tuned no such adapter.
    ///
    /// # Errors
    /// A file that has changed or is gone, and failures of store and model.
    pub async fn ability(&self, name: &str) -> Result<Option<Ability>, JobError> {
        let tuned = self.tuned().await?;
        let hash = tuned.get(name).and_then(|adapter| adapter.hash.as_deref());
        let Some(hash) = hash.and_then(|hash| hash.get(..12)) else { return Ok(None) };
        let of = self.settings.general_from.as_ref().map_or("starter", |file| file.short_hash());
        let key: UnitKey = format!("{name}@{hash}/{of}");
        if let Some(known) = self.store.units::<Ability>(&self.run, STEP).await?.remove(&key) {
            return Ok(Some(known));
        }
        let (model, folder) = (self.engine.model(), self.folder(name));
        let file = self.settings.general_from.clone();
        let measured = tokio::task::spawn_blocking(move || -> Result<Ability, JobError> {
            let examples = general::conversations(file.as_ref(), MEASURED, Use::Measured)?;
            let guard = Guard::new(&model.decoder, &model.tokenizer, &examples)?;
            let (config, device) = (model.decoder.config(), &model.device);
            let (adapter, _) = peft::load(&folder, config, &model.hash, device)?;
            Ok(guard.measure(&Arc::new(adapter))?)
        });
        let ability = measured.await.map_err(|panic| {
            JobError::refused(
                format!("measuring general ability ended without a result: {panic}"),
                "Start it again.",
            )
        })??;
        let unit = Unit { key: key.clone(), result: ability };
        self.store.record_units(&self.run, STEP, &[unit]).await?;
        // As it is stored: the last digit of a number may differ, and the same call must say the same.
        Ok(self.store.units::<Ability>(&self.run, STEP).await?.remove(&key))
    }

    /// The guard of an evaluation: the joint adapter's, else that of the first one that the run tuned.
    pub(super) async fn guarded(&self) -> Result<Option<(String, Ability)>, JobError> {
        let tuned = self.tuned().await?;
        let has_hash = |adapter: &&TunedAdapter| adapter.hash.is_some();
        let joint = tuned.get("joint").filter(has_hash);
        let Some(adapter) = joint.or_else(|| tuned.values().find(has_hash)) else {
            return Ok(None);
        };
        let ability = self.ability(&adapter.name).await?;
        Ok(ability.map(|ability| (adapter.name.clone(), ability)))
    }
}
