//! Step 3 of the method: the pairs whose aware answer differs from the unaware one are kept.

use domain::instance::{self, Collection};

use super::{JobError, Method};
use crate::store::Unit;

pub(super) const STEP: &str = "collect";
pub(super) const KEY: &str = "instances";

impl Method {
    /// Collects the instances from the stored answers, and keeps them.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] before all answers are there.
    pub async fn collect(&self) -> Result<Collection, JobError> {
        let elicited = self.elicited().await?;
        let floor = instance::noise_floor(elicited.unaware_shifts());
        let result = instance::collect(&elicited.pairs()?, self.settings.rule, floor);
        let unit = Unit { key: KEY.to_owned(), result };
        self.store.record_units(&self.run, STEP, std::slice::from_ref(&unit)).await?;
        Ok(unit.result)
    }

    /// The collected instances.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] before they were collected.
    pub async fn collection(&self) -> Result<Collection, JobError> {
        self.store.units(&self.run, STEP).await?.remove(KEY).ok_or(JobError::StepMissing {
            run: self.run.clone(),
            what: "instances",
            step: "collect",
        })
    }
}
