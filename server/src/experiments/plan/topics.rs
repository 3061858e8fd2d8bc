//! What the joint adapter adds, by topic.

use domain::score::Parts;

use super::{Bench, METRIC};
use crate::experiments::section::{CultureParts, Entry, Section};

impl Bench<'_> {
    /// The base run's joint adapter, topic by topic.
    pub(super) fn topics(&self) -> Section {
        let survey = &self.base.survey;
        let of_topic = |voice: &CultureParts, topic: &str| -> CultureParts {
            let keep = |parts: &Parts| -> Parts {
                let belongs = |id| survey.question(id).is_some_and(|q| q.topic.as_str() == topic);
                parts.iter().filter(|(id, _)| belongs(id)).map(|(id, p)| (id.clone(), *p)).collect()
            };
            let kept = voice.iter().map(|(code, parts)| (*code, keep(parts)));
            kept.filter(|(_, parts)| !parts.is_empty()).collect()
        };
        let entry = |topic: &domain::question::Topic| {
            let (joint, aware) = (
                of_topic(&self.joint, topic.id.as_str()),
                of_topic(&self.aware, topic.id.as_str()),
            );
            let questions = aware.values().map(Parts::len).max().unwrap_or(0);
            let note = format!("{questions} questions");
            Entry::closer(topic.name.clone(), METRIC, &joint, &aware, note)
        };
        Section {
            key: "topics",
            title: "By topic",
            measure:
                "What the joint adapter adds to the aware voice, topic by topic. A topic has few \
                      evaluated questions, so intervals are wide; one without any is left out."
                    .to_owned(),
            unit: "alignment x 100 beyond the aware voice",
            entries: survey.topics.iter().filter_map(entry).collect(),
            claims: vec![],
        }
    }
}
