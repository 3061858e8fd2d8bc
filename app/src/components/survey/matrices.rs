//! Cultures by cultures: how alike they are, and adapters on other cultures. Plain functions, no view;
//! the arithmetic is [`domain::score`]'s.

use std::collections::BTreeSet;

use domain::culture::CultureCode;
use domain::question::{QuestionId, TopicId};
use domain::score::{CrossParts, CrossScores, MatrixCorrelation, Metric, Relations, parts};
use domain::survey::Survey;

use super::plan::Kind;
use super::scores::chosen;
use super::speaker::{Group, Speaker};

/// Fewer cultures have no relations to compare: a correlation needs three pairs.
const FEWEST_CULTURES: usize = 3;

/// How alike cultures are in a group of voices and among people, in one order.
#[derive(Debug, Clone, PartialEq)]
pub struct Likeness {
    /// Of the voices.
    pub voices: Relations,
    /// Of the people, asked the same questions.
    pub people: Relations,
    /// How well both agree; `None` where that can't be said.
    pub correlation: Option<MatrixCorrelation>,
}

/// The groups that have a voice of their own for at least three cultures.
pub fn related_groups(speakers: &[Speaker]) -> Vec<Group> {
    let groups: BTreeSet<&Group> = speakers.iter().map(|speaker| &speaker.group).collect();
    let fits = |group: &&&Group| {
        !matches!(group.kind, Kind::Crossed(_))
            && members(speakers, group).count() >= FEWEST_CULTURES
    };
    groups.iter().filter(fits).map(|group| (*group).clone()).collect()
}

fn members<'a>(
    speakers: &'a [Speaker],
    group: &'a Group,
) -> impl Iterator<Item = (CultureCode, &'a Speaker)> {
    let named = speakers.iter().filter(move |speaker| speaker.group == *group);
    named.filter_map(|speaker| Some((speaker.voice.culture?, speaker)))
}

/// The matrices of a group over the questions of `topics` that its voices answered, clustered by how
/// alike people are.
pub fn likeness(
    survey: &Survey,
    speakers: &[Speaker],
    metric: Metric,
    topics: &BTreeSet<TopicId>,
    group: &Group,
) -> Likeness {
    let answers: Vec<_> = members(speakers, group)
        .map(|(code, speaker)| (code, speaker.answers.as_slice()))
        .collect();
    let cultures: Vec<CultureCode> = answers.iter().map(|(code, _)| *code).collect();
    let answered: BTreeSet<&QuestionId> =
        answers.iter().flat_map(|(_, answers)| *answers).map(|answer| &answer.question).collect();
    let asked: BTreeSet<QuestionId> = survey
        .questions
        .iter()
        .filter(|question| answered.contains(&question.id) && chosen(topics, question))
        .map(|question| question.id.clone())
        .collect();
    let people = Relations::of_people(survey, &cultures, metric, &asked);
    let voices = Relations::of_answers(survey, &answers, metric, &asked);
    let (order, correlation) = (people.clustered_order(), voices.correlation(&people));
    Likeness { voices: voices.in_order(&order), people: people.in_order(&order), correlation }
}

/// The groups whose cultures' own adapters were asked as other cultures, by the group of the latter.
pub fn crossed_groups(speakers: &[Speaker]) -> Vec<Group> {
    let groups: BTreeSet<&Group> =
        speakers.iter().filter(|s| s.is_crossed()).map(|speaker| &speaker.group).collect();
    groups.into_iter().cloned().collect()
}

/// Adapter i on culture j, over the questions of `topics`; `group` is one of [`crossed_groups`].
pub fn cross(
    survey: &Survey,
    speakers: &[Speaker],
    metric: Metric,
    topics: &BTreeSet<TopicId>,
    group: &Group,
) -> CrossScores {
    let Group { kind: Kind::Crossed(run), .. } = group else {
        return CrossScores::new(metric, &[], &[], &CrossParts::new());
    };
    let own = Group { kind: Kind::Specific(run.clone()), ..group.clone() };
    let asked = speakers.iter().filter(|s| s.group == *group || s.group == own);
    let of = |speaker: &Speaker| {
        let (owner, culture) = (speaker.owner()?, speaker.voice.culture?);
        Some(((owner, culture), parts(survey, culture, &speaker.answers, metric, topics)))
    };
    let parts: CrossParts = asked.filter_map(of).filter(|(_, parts)| !parts.is_empty()).collect();
    let in_order = |keep: &dyn Fn(CultureCode) -> bool| -> Vec<CultureCode> {
        survey.cultures.iter().map(|culture| culture.code).filter(|code| keep(*code)).collect()
    };
    let adapters = in_order(&|code| parts.keys().any(|(owner, _)| *owner == code));
    let cultures = in_order(&|code| parts.keys().any(|(_, culture)| *culture == code));
    CrossScores::new(metric, &adapters, &cultures, &parts)
}

#[cfg(test)]
mod tests {
    use super::super::scores::tests::{code, run, survey};
    use super::super::speaker::speakers;
    use super::*;

    #[test]
    fn adapters_are_held_against_the_people_of_whom_they_speak_as() {
        let survey = survey();
        let asked = [
            ("THA+specific-THA", 3),
            ("THA+specific-USA", 1),
            ("USA+specific-USA", 0),
            ("USA+specific-THA", 2),
            ("USA+joint", 0),
        ];
        let speakers = speakers(&run(&survey, &asked), None);
        let groups = crossed_groups(&speakers);
        assert_eq!(groups.iter().map(Group::to_string).collect::<Vec<_>>(), ["crossed"]);
        let all = BTreeSet::new();
        let found = cross(&survey, &speakers, Metric::Alignment, &all, &groups[0]);
        assert_eq!(found.adapters, [code("USA"), code("THA")]);
        let scores: Vec<i64> =
            found.values.iter().flatten().map(|v| (100.0 * v.unwrap()).round() as i64).collect();
        assert_eq!(scores, [100, 33, 33, 100]);
        assert!((found.own_gain.unwrap().gain - 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn voices_and_people_are_laid_out_alike() {
        let mut survey = survey();
        let mut more = survey.cultures[1].clone();
        more.code = code("KEN");
        let people = survey.reference[&code("USA")].clone();
        survey.reference.insert(more.code, people);
        survey.cultures.push(more);
        let run = run(&survey, &[("unaware", 0), ("USA", 0), ("THA", 3), ("KEN", 1)]);
        let speakers = speakers(&run, None);
        let groups = related_groups(&speakers);
        assert_eq!(groups.iter().map(Group::to_string).collect::<Vec<_>>(), ["aware"]);
        let all = BTreeSet::new();
        let found = likeness(&survey, &speakers, Metric::Alignment, &all, &groups[0]);
        assert_eq!(found.voices.cultures, found.people.cultures);
        let place = |wanted: &str| {
            found.people.cultures.iter().position(|found| *found == code(wanted)).unwrap()
        };
        assert_eq!(place("USA").abs_diff(place("KEN")), 1, "alike people stand together");
        let of = |relations: &Relations| relations.values[place("USA")][place("KEN")].unwrap();
        assert!((of(&found.people) - 1.0).abs() < 1e-9);
        assert!((of(&found.voices) - 2.0 / 3.0).abs() < 1e-9);
        // Voices (0, 2/3, 1/3) beside people (0, 1, 0).
        assert!((found.correlation.unwrap().r - 0.75f64.sqrt()).abs() < 1e-9);
        let few = BTreeSet::from([TopicId::from("none")]);
        let found = likeness(&survey, &speakers, Metric::Alignment, &few, &groups[0]);
        assert_eq!((found.correlation, found.voices.values[0][1]), (None, None));
    }
}
