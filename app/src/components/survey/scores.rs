//! From raw answers to what the charts show. Arithmetic is in [`domain::score`]; here rows are only
//! put together and ordered. Plain functions, no view; matrices of cultures are in
//! [`super::matrices`].

use std::collections::{BTreeMap, BTreeSet};

use domain::culture::CultureCode;
use domain::question::{Question, QuestionId, Scale, TopicId};
use domain::score::{
    Baseline, Evaluation, Interval, Metric, Part, Parts, Refusals, baseline_score,
    evaluate_by_topic, interval, mean_interval, paired_interval, parts,
};
use domain::survey::Survey;
use domain::voice::Voice;

use super::plan::Kind;
use super::speaker::{Group, Speaker};

/// One voice against one culture's people.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whose people.
    pub culture: CultureCode,
    /// Who answered.
    pub voice: Voice,
    /// What kind of voice that is, of which run.
    pub group: Group,
    /// How close.
    pub evaluation: Evaluation,
    /// The same question by question.
    pub parts: Parts,
    /// Score minus the unaware voice's of the same run, over the questions that both answered, with
    /// its interval.
    pub gain: Option<(f64, Interval)>,
    /// What it gave no opinion on.
    pub refusals: Refusals,
}

/// The cultures that voices speak for, or all of the survey where none names one.
pub fn cultures(survey: &Survey, speakers: &[Speaker]) -> Vec<CultureCode> {
    let named: BTreeSet<CultureCode> = speakers.iter().filter_map(|s| s.voice.culture).collect();
    let all = survey.cultures.iter().map(|culture| culture.code);
    all.filter(|code| named.is_empty() || named.contains(code)).collect()
}

/// Whether a question belongs to one of `topics`; an empty set means all.
pub fn chosen(topics: &BTreeSet<TopicId>, question: &Question) -> bool {
    topics.is_empty() || topics.contains(&question.topic)
}

/// Every voice against its culture, a voice without culture against all; best first. Voices with
/// another culture's adapter are left out.
pub fn ranking(
    survey: &Survey,
    speakers: &[Speaker],
    metric: Metric,
    topics: &BTreeSet<TopicId>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for culture in cultures(survey, speakers) {
        let of_culture = |s: &&Speaker| s.speaks_for(culture) && !s.is_crossed();
        let scored: Vec<(&Speaker, Parts)> = speakers
            .iter()
            .filter(of_culture)
            .map(|speaker| (speaker, parts(survey, culture, &speaker.answers, metric, topics)))
            .collect();
        entries.extend(scored.iter().filter_map(|(speaker, parts)| {
            let unaware = scored.iter().find(|(base, _)| {
                base.group.kind == Kind::Unaware && base.group.source == speaker.group.source
            });
            let base = unaware.filter(|(base, _)| base.voice != speaker.voice);
            Some(Entry {
                culture,
                voice: speaker.voice.clone(),
                group: speaker.group.clone(),
                evaluation: evaluation(metric, parts)?,
                parts: parts.clone(),
                gain: base.and_then(|(_, base)| paired_gain(metric, parts, base)),
                refusals: speaker.refusals(survey, |question| chosen(topics, question)),
            })
        }));
    }
    entries.sort_by(|a, b| b.evaluation.score.total_cmp(&a.evaluation.score));
    entries
}

fn evaluation(metric: Metric, parts: &Parts) -> Option<Evaluation> {
    let list: Vec<Part> = parts.values().copied().collect();
    let (score, interval) = (metric.score(&list)?, interval(metric, &list));
    Some(Evaluation { score, interval, questions: list.len() })
}

fn paired_gain(metric: Metric, parts: &Parts, base: &Parts) -> Option<(f64, Interval)> {
    let (first, second): (Vec<Part>, Vec<Part>) =
        parts.iter().filter_map(|(id, part)| Some((*part, *base.get(id)?))).unzip();
    let gain = metric.score(&first)? - metric.score(&second)?;
    Some((gain, paired_interval(metric, &first, &second)?))
}

/// The mean over cultures of voices of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Mean {
    /// What they have in common.
    pub group: Group,
    /// The plain mean of their scores.
    pub score: f64,
    /// 95 % bootstrap interval over questions, which all cultures share; `None` for fewer than two.
    pub interval: Option<Interval>,
    /// Number of cultures.
    pub cultures: usize,
    /// Whether people's answers are part of a prompt.
    pub shown: bool,
}

/// The means per group, in the order of groups.
pub fn means(entries: &[Entry], metric: Metric) -> Vec<Mean> {
    let mut groups: BTreeMap<&Group, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        groups.entry(&entry.group).or_default().push(entry);
    }
    let mean = |(group, entries): (&Group, Vec<&Entry>)| {
        let scores = entries.iter().map(|entry| entry.evaluation.score);
        let parts: Vec<&Parts> = entries.iter().map(|entry| &entry.parts).collect();
        Mean {
            group: group.clone(),
            score: scores.sum::<f64>() / entries.len() as f64,
            interval: mean_interval(metric, &parts),
            cultures: entries.len(),
            shown: entries.iter().any(|entry| entry.voice.uses_reference()),
        }
    };
    groups.into_iter().map(mean).collect()
}

/// What must be known of unordered questions among those that were asked, for metrics that count with an
/// order.
pub fn nominal_note(
    survey: &Survey,
    speakers: &[Speaker],
    metric: Metric,
    topics: &BTreeSet<TopicId>,
) -> Option<String> {
    let what = match metric {
        Metric::Alignment | Metric::AlignmentPerQuestion => {
            "how far apart two of their numbers lie means nothing"
        }
        Metric::EarthMover => "they are scored by total variation instead",
        Metric::JensenShannon | Metric::ExactMode => return None,
    };
    let asked: BTreeSet<&QuestionId> =
        speakers.iter().flat_map(|s| &s.answers).map(|a| &a.question).collect();
    let counts = |q: &&Question| asked.contains(&q.id) && chosen(topics, q);
    let questions: Vec<&Question> = survey.questions.iter().filter(counts).collect();
    let nominal = questions.iter().filter(|q| q.scale == Scale::Nominal).count();
    (nominal > 0).then(|| {
        let all = questions.len();
        format!("The options of {nominal} of these {all} questions have no order: {what}.")
    })
}

/// The three baselines of the method.
pub fn all_baselines() -> Vec<Baseline> {
    let usa = "USA".parse().ok().map(Baseline::Like);
    [Baseline::Random, Baseline::Middle].into_iter().chain(usa).collect()
}

/// What each culture's baselines reach over the questions of `topics` that were asked.
pub fn baselines(
    survey: &Survey,
    speakers: &[Speaker],
    metric: Metric,
    topics: &BTreeSet<TopicId>,
) -> BTreeMap<CultureCode, Vec<(Baseline, f64)>> {
    let asked: BTreeSet<&QuestionId> =
        speakers.iter().flat_map(|s| &s.answers).map(|a| &a.question).collect();
    let counts = |q: &&Question| asked.contains(&q.id) && chosen(topics, q);
    let questions: Vec<&Question> = survey.questions.iter().filter(counts).collect();
    let of_culture = |culture| {
        all_baselines()
            .into_iter()
            .filter_map(|b| Some((b, baseline_score(b, metric, survey, culture, &questions)?)))
            .collect()
    };
    let cultures = cultures(survey, speakers);
    cultures.into_iter().map(|culture| (culture, of_culture(culture))).collect()
}

/// The mean of each baseline over the cultures that have it.
pub fn baseline_means(
    baselines: &BTreeMap<CultureCode, Vec<(Baseline, f64)>>,
) -> Vec<(Baseline, f64)> {
    let mean = |wanted: Baseline| {
        let all = baselines.values().flatten();
        let scores: Vec<f64> = all.filter(|(b, _)| *b == wanted).map(|(_, score)| *score).collect();
        (!scores.is_empty()).then(|| (wanted, scores.iter().sum::<f64>() / scores.len() as f64))
    };
    all_baselines().into_iter().filter_map(mean).collect()
}

/// Culture by topic: the score of the voice of `group`, where there is one.
pub fn by_topic(
    survey: &Survey,
    speakers: &[Speaker],
    metric: Metric,
    group: &Group,
) -> Vec<(CultureCode, BTreeMap<TopicId, f64>)> {
    let row = |culture| {
        let speaker = speakers.iter().find(|s| s.group == *group && s.speaks_for(culture))?;
        Some((culture, evaluate_by_topic(survey, culture, &speaker.answers, metric)))
    };
    cultures(survey, speakers).into_iter().filter_map(row).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::speaker::{reference_note, speakers};
    use super::*;
    use crate::api::{JobState, SurveyRun, SurveyRunInfo};
    use domain::answer::SurveyAnswer;
    use domain::culture::Culture;
    use domain::question::{Scale, Topic};
    use domain::survey::{Distribution, Provenance};

    pub fn code(text: &str) -> CultureCode {
        text.parse().unwrap()
    }

    /// Four questions of four options; people of USA choose the first, of THA the last.
    pub fn survey() -> Survey {
        let question = |n: usize| Question {
            id: QuestionId(format!("S{n}")),
            topic: TopicId(format!("t{}", n % 2)),
            text: "?".to_owned(),
            options: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            first_number: 1,
            scale: Scale::Ordered,
            dont_know: vec![],
            held_out: true,
        };
        let questions: Vec<Question> = (0..4).map(question).collect();
        let people = |mode: u32| {
            let mut shares = vec![0.1; 4];
            shares[mode as usize - 1] = 0.7;
            questions
                .iter()
                .map(|q| (q.id.clone(), Distribution { shares: shares.clone(), mode }))
                .collect()
        };
        let culture = |text: &str| Culture {
            code: code(text),
            name: text.to_owned(),
            demonym: text.to_owned(),
        };
        let topic = |id: &str| Topic { id: id.into(), name: id.to_owned() };
        Survey {
            id: "s".to_owned(),
            title: "S".to_owned(),
            language: "eng".to_owned(),
            provenance: Provenance::Simulated("test".to_owned()),
            cultures: vec![culture("USA"), culture("THA")],
            topics: vec![topic("t0"), topic("t1")],
            reference: [(code("USA"), people(1)), (code("THA"), people(4))].into(),
            similarity: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            unasked: vec![],
            questions,
        }
    }

    /// The voices answer with the option given, sure of it.
    pub fn run(survey: &Survey, voices: &[(&str, usize)]) -> SurveyRun {
        let answer = |option: usize, q: &Question| {
            let mut probabilities = vec![0.0; 4];
            probabilities[option] = 1.0;
            SurveyAnswer { question: q.id.clone(), probabilities }
        };
        SurveyRun {
            info: SurveyRunInfo {
                id: "r".to_owned(),
                survey: "s".to_owned(),
                voices: voices.iter().map(|(slug, _)| Voice::from_slug(slug).unwrap()).collect(),
                state: JobState::Done,
                answered: 0,
                total: 0,
                remaining_seconds: None,
                error: None,
                created: String::new(),
                recorded: None,
                outdated: false,
                uses_reference: vec![],
            },
            answers: voices
                .iter()
                .map(|(_, option)| survey.questions.iter().map(|q| answer(*option, q)).collect())
                .collect(),
        }
    }

    fn group(kind: Kind) -> Group {
        Group { source: None, kind, uses_reference: false }
    }

    #[test]
    fn recorded_voices_stand_beside_live_ones() {
        let survey = survey();
        let live = run(&survey, &[("unaware", 1), ("THA", 2)]);
        let mut recorded = run(&survey, &[("unaware", 0), ("THA", 3)]);
        recorded.info.recorded = Some("Llama".to_owned());
        // Two of four replies of the recorded Thai voice can't be read.
        recorded.answers[1].truncate(2);
        let both = speakers(&live, Some(&recorded));
        let ranked = ranking(&survey, &both, Metric::Alignment, &BTreeSet::new());
        let names: Vec<String> = ranked.iter().map(|entry| entry.group.to_string()).collect();
        assert_eq!(names, ["Llama: aware", "r: aware", "r: unaware", "Llama: unaware"]);
        // Each gain is over the unaware voice of the same run.
        let gain = |place: usize| (100.0 * ranked[place].gain.unwrap().0).round();
        assert_eq!((gain(0), gain(1)), (100.0, 33.0));
        let refused = Refusals { asked: 4, unreadable: 2, dont_know: 0 };
        assert_eq!((ranked[0].refusals, ranked[1].refusals.total()), (refused, 0));
        let of_topic = BTreeSet::from([TopicId::from("t1")]);
        let of_topic = ranking(&survey, &both, Metric::Alignment, &of_topic);
        assert_eq!(of_topic[0].refusals, Refusals { asked: 2, unreadable: 1, dont_know: 0 });
        // A run that was cancelled has only not been asked yet.
        recorded.info.state = JobState::Cancelled;
        let both = speakers(&live, Some(&recorded));
        let ranked = ranking(&survey, &both, Metric::Alignment, &BTreeSet::new());
        assert_eq!(ranked[0].refusals, Refusals { asked: 2, unreadable: 0, dont_know: 0 });
    }

    #[test]
    fn the_best_comes_first_and_unaware_meets_every_culture() {
        let survey = survey();
        let run = run(&survey, &[("unaware", 0), ("THA", 2), ("THA+joint", 3), ("USA", 1)]);
        let run = speakers(&run, None);
        let ranked = ranking(&survey, &run, Metric::Alignment, &BTreeSet::new());
        let rows: Vec<_> = ranked
            .iter()
            .map(|e| format!("{} {} {:.2}", e.culture, e.group, e.evaluation.score))
            .collect();
        assert_eq!(
            rows,
            [
                "USA unaware 1.00",
                "THA joint 1.00",
                "USA aware 0.67",
                "THA aware 0.67",
                "THA unaware 0.00"
            ]
        );
        let (gain, interval) = ranked[3].gain.unwrap();
        assert!((gain - 2.0 / 3.0).abs() < 1e-9 && interval.excludes_zero());
        assert_eq!(ranked[0].gain, None);
        let means = means(&ranked, Metric::Alignment);
        let (first, last) = (&means[0], &means[2]);
        assert_eq!((&first.group, first.score, first.cultures), (&group(Kind::Unaware), 0.5, 2));
        let joint = group(Kind::Shared("joint".to_owned()));
        assert_eq!((&last.group, last.score, last.cultures), (&joint, 1.0, 1));
        // Every question says the same, so that no draw of questions says another.
        assert_eq!(first.interval.map(|i| (i.low, i.high)), Some((0.5, 0.5)));
        assert!(!first.shown && !first.group.uses_reference);
    }

    #[test]
    fn voices_that_were_shown_answers_are_marked_with_an_adapter_too() {
        let survey = survey();
        let run = speakers(&run(&survey, &[("THA:self-alignment+joint", 0), ("THA", 0)]), None);
        let ranked = ranking(&survey, &run, Metric::Alignment, &BTreeSet::new());
        let marked: Vec<bool> =
            means(&ranked, Metric::Alignment).iter().map(|mean| mean.shown).collect();
        assert_eq!(marked, [false, true], "aware, then the joint adapter under P3");
    }

    #[test]
    fn adapters_that_learnt_from_peoples_answers_are_marked_wherever_they_are_named() {
        let survey = survey();
        let mut run = run(
            &survey,
            &[("THA", 0), ("THA+mine/joint", 3), ("THA+joint", 3), ("THA:self-alignment", 3)],
        );
        let names = |run: &SurveyRun| -> Vec<String> {
            speakers(run, None).iter().map(|speaker| speaker.group.to_string()).collect()
        };
        assert_eq!(names(&run), ["aware", "mine/joint", "joint", "self-alignment †"]);
        run.info.uses_reference = vec!["mine/joint".to_owned()];
        assert_eq!(names(&run), ["aware", "mine/joint †", "joint", "self-alignment †"]);
        let speakers = speakers(&run, None);
        let means = means(
            &ranking(&survey, &speakers, Metric::Alignment, &BTreeSet::new()),
            Metric::Alignment,
        );
        let marked = means.iter().filter(|mean| mean.group.uses_reference);
        assert_eq!(marked.filter(|mean| !mean.shown).count(), 1, "{means:?}");
        assert!(reference_note(&speakers).unwrap().contains("tuned on answers"));
        assert_eq!(reference_note(&speakers[..1]), None);
    }

    #[test]
    fn unordered_questions_are_told_of_where_order_counts() {
        let mut survey = survey();
        let run = speakers(&run(&survey, &[("THA", 0)]), None);
        let note = |survey: &Survey, metric, topics: &[&str]| {
            let topics = topics.iter().map(|topic| TopicId::from(*topic)).collect();
            nominal_note(survey, &run, metric, &topics)
        };
        assert_eq!(note(&survey, Metric::Alignment, &[]), None);
        survey.questions[1].scale = Scale::Nominal;
        let text = note(&survey, Metric::Alignment, &[]).unwrap();
        assert!(text.contains("1 of these 4 questions"), "{text}");
        assert_eq!(note(&survey, Metric::Alignment, &["t0"]), None);
        assert!(note(&survey, Metric::EarthMover, &["t1"]).unwrap().contains("1 of these 2"));
        assert_eq!(note(&survey, Metric::ExactMode, &[]), None);
    }

    #[test]
    fn topics_choose_the_questions() {
        let survey = survey();
        let run = speakers(&run(&survey, &[("THA", 3)]), None);
        let topics = BTreeSet::from([TopicId::from("t1")]);
        let ranked = ranking(&survey, &run, Metric::EarthMover, &topics);
        assert_eq!(ranked[0].evaluation.questions, 2);
        let heat = by_topic(&survey, &run, Metric::ExactMode, &group(Kind::Aware));
        assert_eq!(heat.len(), 1);
        assert_eq!(heat[0].1[&TopicId::from("t0")], 1.0);
        assert!(by_topic(&survey, &run, Metric::ExactMode, &group(Kind::Unaware)).is_empty());
    }

    #[test]
    fn baselines_leave_a_culture_out_of_its_own_likeness() {
        let survey = survey();
        let run = speakers(&run(&survey, &[("unaware", 0)]), None);
        let found = baselines(&survey, &run, Metric::Alignment, &BTreeSet::new());
        assert_eq!(found[&code("USA")].len(), 2);
        assert_eq!(found[&code("THA")].len(), 3);
        let means = baseline_means(&found);
        assert_eq!(means[1], (Baseline::Middle, 0.5));
        assert_eq!(means[2], (Baseline::Like(code("USA")), 0.0));
    }
}
