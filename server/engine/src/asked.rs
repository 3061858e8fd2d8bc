//! The adapters of one request: each is looked for once, so that one that is replaced meanwhile
//! doesn't mix with its successor.

use std::sync::Arc;

use super::adapters::{Adapters, NamedAdapter};
use super::error::EngineError;
use super::loading::LoadedModel;
use super::request::AdapterChoice;

/// What a request has asked for so far.
#[derive(Debug)]
pub struct Asked<'a> {
    adapters: &'a Adapters,
    found: Vec<(AdapterChoice, Option<Arc<NamedAdapter>>)>,
}

impl<'a> Asked<'a> {
    /// Nothing so far.
    pub fn new(adapters: &'a Adapters) -> Self {
        Self { adapters, found: Vec::new() }
    }

    /// What a row is to be computed with; `None` is the base model.
    ///
    /// # Errors
    /// As [`Adapters::find`], and [`EngineError::InvalidRequest`] if the adapters of this request
    /// alone are more than memory holds: then trying again wouldn't help.
    pub fn find(
        &mut self,
        model: &LoadedModel,
        choice: &AdapterChoice,
    ) -> Result<Option<Arc<NamedAdapter>>, EngineError> {
        if let Some((_, found)) = self.found.iter().find(|(known, _)| known == choice) {
            return Ok(found.clone());
        }
        // Looked at before and after: where others held something meanwhile, trying again may help.
        let alone = self.holds_everything();
        let found = match self.adapters.find(model, choice) {
            Err(EngineError::Overloaded { limit, unit, .. })
                if alone && self.holds_everything() =>
            {
                let rule =
                    format!("a request must do with {limit} {unit}, and this one needs more");
                let hint = "Ask for fewer adapters or blends at once.";
                return Err(EngineError::invalid(rule, hint));
            }
            found => found?,
        };
        self.found.push((choice.clone(), found.clone()));
        Ok(found)
    }

    /// Whether nobody else holds any adapter.
    fn holds_everything(&self) -> bool {
        let mut own: Vec<&Arc<NamedAdapter>> =
            self.found.iter().filter_map(|(_, found)| found.as_ref()).collect();
        own.sort_by_key(|named| named.generation);
        own.dedup_by_key(|named| named.generation);
        let own: usize = own.iter().map(|named| named.bytes).sum();
        self.adapters.held() <= own
    }
}
