//! A run that differs from the base run in one setting, done up to its evaluation.

use domain::instance::CollectionRule;
use domain::method::{AdapterTarget, MethodRequest, Step};
use domain::prompt::PromptStyle;
use domain::score::Metric;

use crate::jobs::ask::check_cultures;
use crate::jobs::work::Watcher;
use crate::jobs::{JobError, Method, Opening};

/// One side of a comparison.
pub struct Arm {
    /// Ends the run's name.
    pub key: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// What sets it apart.
    pub change: fn(&mut MethodRequest),
    /// Whether it puts the same prompts as the base run in step 2.
    pub same_answers: bool,
}

impl Arm {
    /// What it asks for on top of `base`.
    fn request(&self, base: &Method) -> MethodRequest {
        let mut request = base.settings.request();
        request.run = Some(format!("{}.{}", base.run, self.key));
        request.adapters = Some(vec![AdapterTarget::Joint]);
        (self.change)(&mut request);
        request
    }

    /// Why it can't be run on top of `base`, if so: a rule that some setting of the base run breaks.
    pub fn obstacle(&self, base: &Method) -> Option<String> {
        let request = self.request(base);
        if let Err(bad) = request.check() {
            return Some(bad.rule);
        }
        let templates = &base.settings.templates;
        if request.rule == Some(CollectionRule::Shift) && templates.unaware_again().is_none() {
            return Some(format!("the prompts `{}` have no `unaware-again`", templates.id()));
        }
        let style = request.style.unwrap_or(PromptStyle::Aware);
        Some(match check_cultures(&base.survey, &base.settings.cultures, style).err()? {
            JobError::Refused { rule, .. } => rule,
            other => other.to_string(),
        })
    }

    /// Does what is left of it: collects, tunes a joint adapter, evaluates.
    ///
    /// # Errors
    /// See [`JobError`]; what was done before is kept.
    pub async fn run(&self, base: &Method, watcher: &mut Watcher<'_>) -> Result<Method, JobError> {
        let request = self.request(base);
        let method = Method::open(&base.store, &base.engine, &request, Opening::Begin).await?;
        let shared: &[Step] =
            if self.same_answers { &[Step::Generate, Step::Elicit] } else { &[Step::Generate] };
        for step in shared {
            base.store.copy_units(&base.run, &method.run, step.as_str()).await?;
        }
        method.set_state(None).await?;
        // All steps, also those that find everything there: what they tell is what the studio shows.
        let metric = Metric::Alignment;
        let done = method.run_steps(&Step::ALL, metric, watcher, &mut |_| {}, &mut |_| {}).await;
        method.set_state(Some(done.as_ref().map(|_| ()))).await?;
        done.map(|()| method)
    }
}

#[cfg(test)]
mod tests {
    use domain::method::Elicitation;

    use super::*;
    use crate::jobs::testing::{Fixture, SURVEY, fixture, survey};

    const SHIFT: Arm = Arm {
        key: "shift",
        title: "by shift",
        change: |request| request.rule = Some(CollectionRule::Shift),
        same_answers: true,
    };

    #[tokio::test]
    async fn an_arm_says_which_setting_of_the_base_run_is_in_its_way() {
        let Fixture { folder: _folder, engine, store } = fixture().await;
        store.put_survey(&survey()).await.unwrap();
        let open = async |run: &str, samples| {
            let request = MethodRequest {
                run: Some(run.to_owned()),
                survey: Some(SURVEY.to_owned()),
                samples: Some(samples),
                ..MethodRequest::default()
            };
            Method::open(&store, &engine, &request, Opening::Begin).await.unwrap()
        };
        let once = open("once", Elicitation::Samples(1)).await;
        let obstacle = SHIFT.obstacle(&once).unwrap();
        assert!(obstacle.contains("`samples` must be 2 or more"), "{obstacle}");
        let scored = open("scored", Elicitation::Probabilities).await;
        assert_eq!(SHIFT.obstacle(&scored), None);
    }
}
