//! Which cultures are alike and which questions are neighbours: tables that styles P2 and P3 use.
//!
//! A survey may bring its own tables. What it doesn't bring is computed from its reference and its
//! texts by the two formulas here, so that both styles work on every survey with a reference. Questions
//! that are held out count in neither; an own table is taken as it is, since a likeness can't be divided
//! into the questions that it rests on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reference, Survey};
use crate::culture::CultureCode;
use crate::filter::normalised;
use crate::prompt::{Example, Kin};
use crate::question::{Question, QuestionId};
use crate::score::distance::jensen_shannon;

/// How alike two cultures are, 0..=100: 100 is the same. By culture, then by the other one.
pub type Similarity = BTreeMap<CultureCode, BTreeMap<CultureCode, f64>>;

/// For every question its neighbours, the nearest first.
pub type Neighbours = BTreeMap<QuestionId, Vec<QuestionId>>;

/// Most and least similar cultures that P2 names (method, "Prompt styles").
pub const KIN: usize = 3;

/// Most neighbours that P3 shows (method, "Prompt styles").
pub const EXAMPLES: usize = 5;

/// Neighbours kept for a question: more than are shown, since not every culture answered all.
pub const KEPT_NEIGHBOURS: usize = 20;

impl Survey {
    /// Computes the rows of both tables that are missing; rows that are there stay.
    pub fn complete_relations(&mut self) {
        // What is held out must not be known to those who are evaluated on it, not even as a likeness.
        let counted: BTreeSet<QuestionId> =
            self.seeds().into_iter().map(|q| q.id.clone()).collect();
        for culture in &self.cultures {
            if !self.similarity.contains_key(&culture.code) {
                let row = similarity_to(culture.code, &self.reference, &counted);
                if !row.is_empty() {
                    self.similarity.insert(culture.code, row);
                }
            }
        }
        // Nor may it be shown as an example.
        let shown: Vec<&Question> = self.seeds();
        let texts = TextIndex::new(&shown);
        let missing = self.questions.iter().filter(|q| !self.neighbours.contains_key(&q.id));
        let rows: Vec<_> = missing.map(|q| (q.id.clone(), texts.nearest(q))).collect();
        self.neighbours.extend(rows);
    }

    /// Gives questions that aren't the survey's own, such as generated ones, neighbours among its
    /// questions.
    pub fn add_neighbours_of(&mut self, questions: &[Question]) {
        let shown: Vec<&Question> = self.seeds();
        let texts = TextIndex::new(&shown);
        let rows: Vec<_> = questions.iter().map(|q| (q.id.clone(), texts.nearest(q))).collect();
        self.neighbours.extend(rows);
    }

    /// Names of the cultures most and least like `culture`; `None` where the table doesn't know it.
    pub fn kin(&self, culture: CultureCode) -> Option<Kin> {
        let row = self.similarity.get(&culture)?;
        let known = |(code, similarity): (&CultureCode, &f64)| {
            let other = self.culture(*code).filter(|other| other.code != culture)?;
            Some((*similarity, other.name.clone()))
        };
        let mut others: Vec<(f64, String)> = row.iter().filter_map(known).collect();
        // The sort is stable: equals stay in the order of codes.
        others.sort_by(|a, b| b.0.total_cmp(&a.0));
        let name = |(_, name): &(f64, String)| name.clone();
        // With few others nobody is both alike and different.
        let count = KIN.min(others.len() / 2);
        if count == 0 {
            return None;
        }
        Some(Kin {
            similar: others.iter().take(count).map(name).collect(),
            different: others.iter().rev().take(count).map(name).collect(),
        })
    }

    /// Neighbours of `question` with what most people of `culture` answered to them; empty where
    /// none is known. Held-out questions are nobody's neighbours, whatever a survey's own table says.
    pub fn examples(&self, culture: CultureCode, question: &QuestionId) -> Vec<Example> {
        let nearest = self.neighbours.get(question).into_iter().flatten();
        nearest
            .filter(|neighbour| *neighbour != question)
            .filter_map(|neighbour| {
                let question = self.question(neighbour).filter(|question| !question.held_out)?;
                let answer = self.people(culture, neighbour)?.mode;
                Some(Example { question: question.clone(), answer })
            })
            .take(EXAMPLES)
            .collect()
    }
}

/// `100 * (1 - mean Jensen-Shannon distance)` to every other culture, over the questions among `counted`
/// that both answered; cultures without a common question are left out.
fn similarity_to(
    culture: CultureCode,
    reference: &Reference,
    counted: &BTreeSet<QuestionId>,
) -> BTreeMap<CultureCode, f64> {
    let Some(own) = reference.get(&culture) else { return BTreeMap::new() };
    let compared = |(other, answers): (&CultureCode, &BTreeMap<QuestionId, _>)| {
        let distances: Vec<f64> = own
            .iter()
            .filter(|(question, _)| counted.contains(*question))
            .filter_map(|(question, people)| {
                let others: &super::Distribution = answers.get(question)?;
                jensen_shannon(&people.shares, &others.shares)
            })
            .collect();
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        (*other != culture && !distances.is_empty()).then_some((*other, 100.0 * (1.0 - mean)))
    };
    reference.iter().filter_map(compared).collect()
}

/// Questions by the words of their texts: the cosine of TF-IDF vectors (Salton, Buckley 1988, with
/// `1 * ln(N / n)` as the weight of a word that n of N questions hold).
struct TextIndex<'a> {
    questions: &'a [&'a Question],
    weights: BTreeMap<String, f64>,
    vectors: Vec<BTreeMap<String, f64>>,
}

impl<'a> TextIndex<'a> {
    fn new(questions: &'a [&'a Question]) -> Self {
        let words: Vec<BTreeSet<String>> = questions.iter().map(|q| words(q)).collect();
        let mut weights: BTreeMap<String, f64> = BTreeMap::new();
        for word in words.iter().flatten() {
            *weights.entry(word.clone()).or_default() += 1.0;
        }
        let all = questions.len() as f64;
        weights.values_mut().for_each(|count| *count = (all / *count).ln());
        let vectors = words.iter().map(|words| vector(words, &weights)).collect();
        Self { questions, weights, vectors }
    }

    /// Up to [`KEPT_NEIGHBOURS`] questions that share a word with `question`, the nearest first; of
    /// equally near ones those of its topic first, then in the survey's order.
    fn nearest(&self, question: &Question) -> Vec<QuestionId> {
        let own = vector(&words(question), &self.weights);
        let mut found: Vec<(f64, bool, &QuestionId)> = Vec::new();
        for (other, vector) in self.questions.iter().zip(&self.vectors) {
            let cosine: f64 = own.iter().filter_map(|(word, x)| Some(x * vector.get(word)?)).sum();
            if other.id != question.id && cosine > 0.0 {
                found.push((cosine, other.topic == question.topic, &other.id));
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        found.into_iter().take(KEPT_NEIGHBOURS).map(|(.., id)| id.clone()).collect()
    }
}

fn words(question: &Question) -> BTreeSet<String> {
    normalised(&question.text).split(' ').map(str::to_owned).collect()
}

/// Weights of the known words, scaled to length 1.
fn vector(words: &BTreeSet<String>, weights: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let known = words.iter().filter_map(|word| Some((word.clone(), *weights.get(word)?)));
    let mut vector: BTreeMap<String, f64> = known.filter(|(_, weight)| *weight > 0.0).collect();
    let length = vector.values().map(|weight| weight * weight).sum::<f64>().sqrt();
    vector.values_mut().for_each(|weight| *weight /= length);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::culture::Culture;
    use crate::question::Scale;
    use crate::survey::{Distribution, Provenance};

    fn code(text: &str) -> CultureCode {
        text.parse().unwrap()
    }

    /// Five cultures along a line, three questions; the last one is held out.
    fn survey() -> Survey {
        let question = |(id, text): (&str, &str)| Question {
            id: id.into(),
            topic: "t".into(),
            text: text.to_owned(),
            options: vec!["No".to_owned(), "Yes".to_owned()],
            first_number: 1,
            scale: Scale::Ordered,
            dont_know: vec![],
            held_out: id == "S3",
        };
        let questions: Vec<Question> = [
            ("S1", "Do you trust your neighbours?"),
            ("S2", "Do you trust strangers?"),
            ("S3", "Do you trust your family?"),
        ]
        .map(question)
        .into();
        let codes = ["USA", "CAN", "THA", "KEN", "KEN-coast"];
        let people = |place: usize| {
            let yes = 0.1 + 0.2 * place as f64;
            let people =
                Distribution { shares: vec![1.0 - yes, yes], mode: 1 + u32::from(place > 1) };
            questions.iter().map(|q| (q.id.clone(), people.clone())).collect::<BTreeMap<_, _>>()
        };
        let mut survey = Survey {
            id: "s".to_owned(),
            title: "S".to_owned(),
            language: "eng".to_owned(),
            provenance: Provenance::Simulated("test".to_owned()),
            cultures: codes
                .map(|c| Culture {
                    code: code(c),
                    name: format!("land {c}"),
                    demonym: c.to_owned(),
                })
                .into(),
            topics: vec![],
            reference: codes.iter().enumerate().map(|(n, c)| (code(c), people(n))).collect(),
            questions,
            similarity: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            unasked: vec![],
        };
        survey.complete_relations();
        survey
    }

    #[test]
    fn those_who_answer_alike_are_kin() {
        let survey = survey();
        let kin = survey.kin(code("USA")).unwrap();
        assert_eq!(kin.similar, ["land CAN", "land THA"]);
        assert_eq!(kin.different, ["land KEN-coast", "land KEN"]);
        let there = survey.similarity[&code("USA")][&code("KEN")];
        let back = survey.similarity[&code("KEN")][&code("USA")];
        assert!((there - back).abs() < 1e-9 && there > 0.0 && there < 100.0);
        assert_eq!(survey.kin(code("ZWE")), None);
    }

    #[test]
    fn what_people_answer_to_held_out_questions_makes_no_kin() {
        let before = survey();
        // Everybody answers the held-out question otherwise, each in a way of their own.
        let mut changed = before.clone();
        for (place, answers) in changed.reference.values_mut().enumerate() {
            let yes = 1.0 / (2.0 + place as f64);
            answers.insert("S3".into(), Distribution { shares: vec![1.0 - yes, yes], mode: 1 });
        }
        assert_ne!(changed.reference, before.reference);
        changed.similarity.clear();
        changed.complete_relations();
        assert_eq!(changed.similarity, before.similarity);
        for culture in &before.cultures {
            assert_eq!(changed.kin(culture.code), before.kin(culture.code));
        }
        // Where nothing is held out, all questions count.
        let of_all = |survey: &Survey| {
            let mut survey = survey.clone();
            survey.questions.iter_mut().for_each(|question| question.held_out = false);
            survey.similarity.clear();
            survey.complete_relations();
            survey.similarity
        };
        assert_ne!(of_all(&changed), of_all(&before));
    }

    #[test]
    fn own_tables_stay_and_missing_rows_are_added() {
        let mut survey = survey();
        let own = BTreeMap::from([(code("THA"), 90.0), (code("CAN"), 10.0)]);
        survey.similarity = BTreeMap::from([(code("USA"), own.clone())]);
        survey.complete_relations();
        assert_eq!(survey.similarity[&code("USA")], own);
        assert_eq!(survey.similarity[&code("KEN-coast")].len(), 4);
        assert_eq!(survey.kin(code("USA")).unwrap().similar, ["land THA"]);
    }

    #[test]
    fn neighbours_share_words_and_are_never_held_out() {
        let survey = survey();
        let near = |id: &str| survey.neighbours[&QuestionId::from(id)].clone();
        assert_eq!(near("S1"), Vec::<QuestionId>::new(), "only the common words are shared");
        assert_eq!(near("S3"), [QuestionId::from("S1")]);
        let examples = survey.examples(code("KEN-coast"), &"S3".into());
        assert_eq!((examples.len(), examples[0].answer), (1, 2));
        assert_eq!(survey.examples(code("ZWE"), &"S3".into()), []);
        let mut survey = survey;
        // A table that a survey brings along may name them.
        survey.neighbours.insert("S1".into(), vec!["S3".into(), "S2".into()]);
        let shown: Vec<QuestionId> = survey
            .examples(code("USA"), &"S1".into())
            .into_iter()
            .map(|example| example.question.id)
            .collect();
        assert_eq!(shown, [QuestionId::from("S2")]);
        let generated = Question { id: "G1".into(), ..survey.questions[2].clone() };
        survey.add_neighbours_of(std::slice::from_ref(&generated));
        assert_eq!(survey.examples(code("USA"), &generated.id).len(), 1);
    }
}
