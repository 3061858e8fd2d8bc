//! A run's voices on another survey than the one that it learnt from: whether what adapters have learnt
//! holds beyond the questionnaire.

use domain::culture::CultureCode;
use domain::survey::asked_hash;

use super::{JobError, Method};

impl Method {
    /// This run's voices on the survey `id`: those of its cultures that the survey knows. Nothing but
    /// evaluating, crossing and laying out otherwise may be asked of what is returned: the steps before
    /// belong to the run's own survey.
    ///
    /// # Errors
    /// An unknown survey, or one that knows none of the run's cultures; a failure of the store.
    pub async fn on(&self, id: &str) -> Result<Self, JobError> {
        let survey = self.store.survey(id).await?;
        let known = |code: &CultureCode| survey.culture(*code).is_some();
        let mut settings = self.settings.clone();
        settings.cultures.retain(known);
        if settings.cultures.is_empty() {
            return Err(JobError::refused(
                format!("the survey `{id}` knows none of the cultures of the run `{}`", self.run),
                "Evaluate on a survey with people of those cultures, or ask its voices on the Survey page.",
            ));
        }
        Ok(Self { survey, settings, ..self.clone() })
    }

    /// Whether this is the survey that the run learnt from.
    pub(super) fn is_at_home(&self) -> bool {
        self.survey.id == self.settings.survey
    }

    /// What the store calls the answers of `step`: those to another survey lie apart, under what that
    /// survey asks, so that none is taken for an answer to other words.
    pub(super) fn kept_as(&self, step: &str) -> String {
        if self.is_at_home() {
            return step.to_owned();
        }
        let asked = asked_hash(&self.survey.questions);
        format!("{step}@{}@{}", self.survey.id, asked.get(..12).unwrap_or(&asked))
    }
}
