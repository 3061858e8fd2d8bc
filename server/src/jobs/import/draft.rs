//! A survey while it is read: every format fills one. What a row must keep by itself is in
//! [`super::rules`]; what rows must keep together is here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use domain::culture::{Culture, CultureCode};
use domain::question::{Question, QuestionId, Topic, TopicId};
use domain::survey::relation::KEPT_NEIGHBOURS;
use domain::survey::{Neighbours, Provenance, Reference, Similarity, Survey};

use super::known;
use super::rejections::{Place, Rejections};
use super::rules::{self, NumberedShares, slug};
use crate::jobs::JobError;

/// How alike a culture is to others, 0 to 100.
pub type Similarities = Vec<(CultureCode, f64)>;

struct People {
    place: Place,
    culture: String,
    question: QuestionId,
    shares: NumberedShares,
}

/// A survey that isn't checked as a whole yet.
pub struct Draft {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// ISO 639-3 code.
    pub language: String,
    /// Where the reference comes from.
    pub provenance: Provenance,
    path: PathBuf,
    cultures: Vec<Culture>,
    topics: Vec<Topic>,
    questions: Vec<Question>,
    /// Line and index of every question.
    asked: BTreeMap<QuestionId, (usize, usize)>,
    people: Vec<People>,
    similarity: Vec<(Place, CultureCode, Similarities)>,
    neighbours: Vec<(Place, QuestionId, Vec<QuestionId>)>,
    unasked: Vec<String>,
    /// Line of the record that describes the survey.
    described: Option<usize>,
    rejections: Rejections,
}

/// What a file says of the survey itself.
pub struct Description {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// ISO 639-3 code.
    pub language: String,
    /// Where the reference comes from.
    pub provenance: Provenance,
}

impl Draft {
    /// An empty survey, named after the file or folder it comes from. What it rejects goes to
    /// `rejections`.
    pub fn new(path: &Path, rejections: Rejections) -> Self {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("survey");
        Self {
            id: slug(name),
            title: name.to_owned(),
            language: "eng".to_owned(),
            provenance: Provenance::Respondents(format!("imported from `{name}`")),
            path: path.to_owned(),
            cultures: Vec::new(),
            topics: Vec::new(),
            questions: Vec::new(),
            asked: BTreeMap::new(),
            people: Vec::new(),
            similarity: Vec::new(),
            neighbours: Vec::new(),
            unasked: Vec::new(),
            described: None,
            rejections,
        }
    }

    /// Takes what a file says of the survey itself, once.
    pub fn describe(&mut self, place: &Place, description: Description) {
        if let Some(line) = self.described {
            return self.reject(place, format!("the survey is described in line {line} already"));
        }
        self.described = Some(place.line);
        let Description { id, title, language, provenance } = description;
        (self.id, self.title) = (id, title);
        (self.language, self.provenance) = (language, provenance);
    }

    /// Reports a row that can't be part of the survey.
    pub fn reject(&mut self, place: &Place, reason: impl Into<String>) {
        self.rejections.push(place, reason);
    }

    /// Declares a culture, or says more of a known one.
    pub fn culture(&mut self, place: &Place, culture: Culture) {
        match self.cultures.iter().find(|other| other.code == culture.code) {
            Some(other) if *other != culture => {
                self.reject(place, format!("the culture `{}` is declared twice", culture.code));
            }
            Some(_) => {}
            None if culture.name.trim().is_empty() || culture.demonym.trim().is_empty() => {
                let rule = format!("the culture `{}` must have a name and a demonym", culture.code);
                self.reject(place, rule);
            }
            None => self.cultures.push(culture),
        }
    }

    /// Declares a topic; the same one again changes nothing. A name that only repeats the identifier, as a
    /// question's topic that isn't declared yet has, gives way to a real one.
    ///
    /// # Errors
    /// Another name than the topic has.
    pub fn topic(&mut self, topic: Topic) -> Result<(), String> {
        let says_nothing = |topic: &Topic| topic.name == topic.id.as_str();
        match self.topics.iter_mut().find(|other| other.id == topic.id) {
            None => self.topics.push(topic),
            Some(other) if says_nothing(other) => other.name = topic.name,
            Some(other) => {
                let alike = other.name.to_lowercase() == topic.name.to_lowercase();
                if !alike && !says_nothing(&topic) {
                    return Err(format!(
                        "the topic `{}` is called `{}` already, not `{}`",
                        topic.id, other.name, topic.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// The topic with this name, declared if need be.
    ///
    /// # Errors
    /// A name that can't be told from another topic's: identifiers keep ASCII letters and digits only.
    pub fn topic_named(&mut self, name: &str) -> Result<TopicId, String> {
        let id = rules::topic_id(name);
        self.topic(Topic { id: id.clone(), name: name.trim().to_owned() })?;
        Ok(id)
    }

    /// The name of a topic.
    pub fn topic_name(&self, id: &TopicId) -> Option<&str> {
        self.topics.iter().find(|topic| topic.id == *id).map(|topic| topic.name.as_str())
    }

    /// The question of this identifier, if its row was taken.
    pub fn question_named(&self, id: &QuestionId) -> Option<&Question> {
        self.asked.get(id).map(|(_, index)| &self.questions[*index])
    }

    /// Adds a question. Options that speak of not knowing are flagged beside those that are already.
    pub fn question(&mut self, place: &Place, mut question: Question) {
        if let Err(reason) = self.check(&question) {
            return self.reject(place, reason);
        }
        if !self.topics.iter().any(|topic| topic.id == question.topic) {
            match self.topic_named(&question.topic.0.clone()) {
                Ok(topic) => question.topic = topic,
                Err(reason) => return self.reject(place, reason),
            }
        }
        question.flag_dont_know();
        self.asked.insert(question.id.clone(), (place.line, self.questions.len()));
        self.questions.push(question);
    }

    /// Keeps the text of a question that nobody is asked.
    pub fn unasked(&mut self, text: &str) {
        self.unasked.push(text.trim().to_owned());
    }

    fn check(&self, question: &Question) -> Result<(), String> {
        match self.asked.get(&question.id) {
            Some((line, _)) => {
                Err(format!("the question `{}` stands in line {line} already", question.id))
            }
            None => rules::check_question(question),
        }
    }

    /// Adds what the people of a culture answered. Culture and question may be declared later.
    pub fn people(
        &mut self,
        place: &Place,
        culture: &str,
        question: QuestionId,
        shares: NumberedShares,
    ) {
        let (place, culture) = (place.clone(), culture.trim().to_owned());
        self.people.push(People { place, culture, question, shares });
    }

    /// Adds a row of the table of similar cultures.
    pub fn similarity(&mut self, place: &Place, culture: CultureCode, to: Similarities) {
        match rules::twice(to.iter().map(|(code, _)| code)) {
            Some(code) => {
                let named = format!("the similarities of `{culture}` name `{code}` twice");
                self.reject(place, named);
            }
            None => self.similarity.push((place.clone(), culture, to)),
        }
    }

    /// Adds a row of the table of neighbouring questions.
    pub fn neighbours(&mut self, place: &Place, question: QuestionId, nearest: Vec<QuestionId>) {
        match rules::twice(&nearest) {
            Some(id) => {
                let named = format!("the neighbours of `{question}` name `{id}` twice");
                self.reject(place, named);
            }
            None => self.neighbours.push((place.clone(), question, nearest)),
        }
    }

    /// Checks the survey as a whole. Where rejected rows leave too little, they say so.
    ///
    /// # Errors
    /// [`JobError::BadFile`] for an identifier that can't be used, and for a file that holds no
    /// question or nobody's answers though every row keeps the rules.
    pub fn finish(mut self) -> Result<(Survey, Rejections), JobError> {
        let reference = self.reference();
        let (similarity, neighbours) = (self.known_similarity(), self.known_neighbours());
        self.check_id()?;
        if let Err(error) = self.check_whole(&reference) {
            if self.rejections.total == 0 {
                return Err(error);
            }
            self.rejections.all = true;
        }
        let mut survey = Survey {
            id: self.id,
            title: self.title,
            language: self.language,
            provenance: self.provenance,
            cultures: self.cultures,
            topics: self.topics,
            questions: self.questions,
            reference,
            similarity,
            neighbours,
            unasked: self.unasked,
        };
        survey.complete_relations();
        // Topics without a question would be empty rows everywhere.
        let used: BTreeSet<TopicId> = survey.questions.iter().map(|q| q.topic.clone()).collect();
        survey.topics.retain(|topic| used.contains(&topic.id));
        Ok((survey, self.rejections))
    }

    /// The rows of similar cultures that name this survey's cultures only; the others are rejected.
    fn known_similarity(&mut self) -> Similarity {
        let mut known = Similarity::new();
        for (place, culture, to) in std::mem::take(&mut self.similarity) {
            let mut named = std::iter::once(culture).chain(to.iter().map(|(code, _)| *code));
            match named.find(|code| !self.cultures.iter().any(|culture| culture.code == *code)) {
                Some(code) => self.reject(&place, format!("`{code}` is no culture of this survey")),
                None if known.contains_key(&culture) => {
                    self.reject(
                        &place,
                        format!("the similarities of `{culture}` stand there twice"),
                    );
                }
                None => {
                    known.insert(culture, to.into_iter().collect());
                }
            }
        }
        known
    }

    /// The rows of neighbours that name this survey's questions only; the others are rejected.
    fn known_neighbours(&mut self) -> Neighbours {
        let mut known = Neighbours::new();
        for (place, question, mut nearest) in std::mem::take(&mut self.neighbours) {
            let mut named = std::iter::once(&question).chain(&nearest);
            match named.find(|id| !self.asked.contains_key(*id)).cloned() {
                Some(id) => self.reject(&place, format!("there is no question `{id}`")),
                None if known.contains_key(&question) => {
                    self.reject(
                        &place,
                        format!("the neighbours of `{question}` stand there twice"),
                    );
                }
                None => {
                    nearest.truncate(KEPT_NEIGHBOURS);
                    known.insert(question, nearest);
                }
            }
        }
        known
    }

    fn check_id(&self) -> Result<(), JobError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let hint = "Give another one with `--id`.";
        if self.id == "starter" {
            return Err(self.bad("the id `starter` is the built-in survey's".to_owned(), hint));
        }
        if self.id.is_empty() || self.id.len() > 64 || !self.id.chars().all(fits) {
            let rule = "the survey's id must be 1 to 64 small letters, digits, `-` and `_`";
            return Err(self.bad(format!("{rule}, not `{}`", self.id), hint));
        }
        Ok(())
    }

    fn check_whole(&self, reference: &Reference) -> Result<(), JobError> {
        if self.questions.is_empty() {
            return Err(self.bad("holds no question".to_owned(), "Compare it with the template."));
        }
        if reference.values().all(BTreeMap::is_empty) {
            let rule = "holds nobody's answers, so that no voice can be compared with people";
            let hint = "Add the shares of at least one culture.";
            return Err(self.bad(rule.to_owned(), hint));
        }
        Ok(())
    }

    fn bad(&self, rule: String, hint: &str) -> JobError {
        JobError::BadFile { path: self.path.clone(), rule, hint: hint.to_owned() }
    }

    /// People's answers whose rows keep the rules; the others are rejected.
    fn reference(&mut self) -> Reference {
        let mut reference = Reference::new();
        let questions: BTreeMap<QuestionId, Question> =
            self.questions.iter().map(|q| (q.id.clone(), q.clone())).collect();
        for People { place, culture, question, shares } in std::mem::take(&mut self.people) {
            // The culture comes last: a rejected row must not declare one.
            let asked = questions.get(&question);
            let added = asked
                .ok_or_else(|| format!("there is no question `{question}`"))
                .and_then(|asked| rules::distribution(asked, &shares))
                .and_then(|people| Ok((self.culture_named(&culture)?, people)))
                .and_then(|(code, people)| {
                    let answers = reference.entry(code).or_default();
                    if answers.contains_key(&question) {
                        let twice = "stand there twice";
                        return Err(format!("the answers of `{code}` to `{question}` {twice}"));
                    }
                    answers.extend(people.map(|people| (question.clone(), people)));
                    Ok(())
                });
            if let Err(reason) = added {
                self.reject(&place, reason);
            }
        }
        reference
    }

    /// The culture of this code or country name, declared if it is a known country or a group in
    /// one.
    fn culture_named(&mut self, name: &str) -> Result<CultureCode, String> {
        let code: Option<CultureCode> = name.parse().ok();
        if let Some(code) = code.filter(|code| self.cultures.iter().any(|c| c.code == *code)) {
            return Ok(code);
        }
        let known = known::culture(name).ok_or_else(|| match code {
            Some(code) => {
                format!("`{code}` is no known country: declare it with a name and a demonym")
            }
            None => format!(
                "`{name}` must be a culture code such as `THA` or `THA-north`, or a country's name"
            ),
        })?;
        let code = known.code;
        if !self.cultures.iter().any(|culture| culture.code == code) {
            self.cultures.push(known);
        }
        Ok(code)
    }
}
