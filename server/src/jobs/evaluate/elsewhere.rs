//! A run's voices on another survey than the one that it learnt from: whether what adapters have learnt
//! holds beyond the questionnaire.

use domain::culture::CultureCode;
use domain::filter::held_out::HeldOut;
use domain::question::Question;
use domain::survey::asked_hash;
use sha2::{Digest, Sha256};

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

    /// What the store calls the answers of `step`: those to another survey lie apart, under a hash of what
    /// that survey asks of whom, so that none is taken for an answer to other words.
    pub(super) fn kept_as(&self, step: &str) -> String {
        if self.is_at_home() {
            return step.to_owned();
        }
        let asked = self.settings.cultures.iter().filter_map(|code| self.survey.culture(*code));
        let asked = asked.fold(asked_hash(&self.survey.questions), |text, culture| {
            format!("{text}\n{}\n{}\n{}", culture.code, culture.name, culture.demonym)
        });
        let hash = format!("{:x}", Sha256::digest(asked));
        format!("{step}@{}@{}", self.survey.id, hash.get(..12).unwrap_or(&hash))
    }

    /// How many of the evaluated questions the run has seen in the same or nearly the same words, among the
    /// seeds of its own survey and the questions that it wrote. `None` at home, where the survey says which
    /// are held out.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn seen(&self) -> Result<Option<usize>, JobError> {
        if self.is_at_home() {
            return Ok(None);
        }
        let home = Self { survey: self.store.survey(&self.settings.survey).await?, ..self.clone() };
        let mut learnt = home.generated().await?.0;
        learnt.extend(home.survey.seeds().into_iter().cloned());
        let learnt: Vec<Question> =
            learnt.into_iter().map(|question| Question { held_out: true, ..question }).collect();
        let mut learnt = HeldOut::new(&learnt, self.settings.filter.near_duplicates);
        let asked = self.survey.evaluated();
        Ok(Some(asked.into_iter().filter(|question| learnt.is_asked_by(&question.text)).count()))
    }
}
