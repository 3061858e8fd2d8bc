//! Conversations of one to six turns about daily life and values.
//!
//! Here: who says what next. The sentences live in the assets, the persona in [`super::persona`].

use domain::prompt::{Message, Role};
use domain::random::SplitMix64;

use super::grammar::Scene;
use super::persona::Persona;
use super::subject::{Lore, Subject, lore};
use super::{Document, Kind, Part, Stress, noise};

/// Cumulative shares of conversations with one, two, ... six turns.
const TURNS: [f64; 6] = [0.42, 0.67, 0.84, 0.93, 0.98, 1.0];

/// How often a person calls a subject by another of its names.
const ALIAS: f64 = 0.45;

/// How often somebody who is asked for a view gives their stance, where the subject has one.
const STANCE: f64 = 0.85;

/// A conversation in the making.
pub(super) struct Talk<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) lore: &'static Lore,
    pub(super) persona: Persona,
    messages: Vec<Message>,
    subject: Option<&'static Subject>,
    /// Stances of the reply in the making.
    stances: Vec<String>,
    stressed: Vec<Stress>,
}

/// A conversation.
pub fn document(rng: &mut SplitMix64, part: Part) -> Document {
    let mut talk = Talk::new(rng, part);
    let length = talk.scene.rng.unit();
    let turns = TURNS.iter().position(|share| length < *share).unwrap_or(0) + 1;
    talk.open();
    for turn in 1..turns {
        talk.go_on(turn + 1 == turns);
    }
    talk.finish(Kind::Talk)
}

impl<'a> Talk<'a> {
    pub(super) fn new(rng: &'a mut SplitMix64, part: Part) -> Self {
        let mut scene = Scene::new(rng, part);
        let persona = Persona::draw(&mut scene);
        let messages = vec![Message::new(Role::System, persona.system())];
        let (stances, stressed) = (vec![], vec![]);
        Self { scene, lore: lore(), persona, messages, subject: None, stances, stressed }
    }

    pub(super) fn finish(self, kind: Kind) -> Document {
        let mut document = Document::new(kind, self.messages);
        document.stressed.extend(self.stressed);
        document
    }

    /// Adds a turn; the user's text gets the noise of real typing.
    pub(super) fn turn(&mut self, user: String, reply: String) {
        let user = noise::typed(&user, self.scene.rng);
        self.messages.push(Message::new(Role::User, user));
        let message = self.messages.len();
        let said = self.stances.drain(..).filter_map(|stance| {
            let start = reply.find(&stance)?;
            Some(Stress { message, range: start..start + stance.len() })
        });
        self.stressed.extend(said);
        self.messages.push(Message::new(Role::Assistant, reply));
        self.fresh();
    }

    /// Draws what the next reply may mention.
    pub(super) fn fresh(&mut self) {
        self.persona.refresh(&mut self.scene);
        self.lore.propose(&mut self.scene);
    }

    /// The first turn.
    pub(super) fn open(&mut self) {
        self.fresh();
        let draw = self.scene.rng.unit();
        if draw < 0.22 {
            return self.small_talk();
        }
        let subject = self.lore.any(&mut self.scene);
        self.enter(subject);
        match draw {
            d if d < 0.38 => self.exchange("say"),
            d if d < 0.58 => self.exchange("qa"),
            _ => self.ask(subject),
        }
    }

    fn enter(&mut self, subject: &'static Subject) {
        subject.enter(&mut self.scene);
        self.subject = Some(subject);
    }

    fn small_talk(&mut self) {
        let sections = &self.lore.small_talk;
        let section = &sections[self.scene.rng.below(sections.len())];
        let user = self.scene.say(section.list("u"));
        let aware = section.list("aa");
        let use_aware = self.persona.culture.is_some() && !aware.is_empty();
        let own = section.name == "hello" || section.name == "howareyou";
        let key = if use_aware && (!own || self.scene.chance(0.6)) { "aa" } else { "a" };
        let reply = self.scene.say(section.list(key));
        self.turn(user, reply);
    }

    /// A question with its own answer, or something told with its reply.
    fn exchange(&mut self, key: &str) {
        let Some(subject) = self.subject else { return };
        let exchanges = subject.exchanges(key);
        let free: Vec<_> = exchanges.iter().filter(|e| !self.scene.was_used(e.user)).collect();
        let Some(exchange) = (!free.is_empty()).then(|| free[self.scene.rng.below(free.len())])
        else {
            return self.ask(subject);
        };
        self.scene.mark(exchange.user);
        let lead = if key == "qa" && self.messages.len() == 1 && self.scene.chance(0.12) {
            self.scene.say(self.lore.answer.list("lead"))
        } else {
            String::new()
        };
        let user = format!("{lead} {}", self.scene.fill(exchange.user));
        let reply = exchange.aware.filter(|reply| self.scene.has_slots(reply));
        let mut reply = self.scene.fill(reply.unwrap_or(exchange.reply));
        if key == "qa" && !reply.contains('?') && self.scene.chance(0.15) {
            reply.push(' ');
            reply.push_str(&self.scene.say(self.lore.answer.list("back")));
        }
        self.turn(user.trim().to_owned(), reply);
    }

    /// Asks about `subject` in one of the forms and answers in kind.
    fn ask(&mut self, subject: &'static Subject) {
        let has = |key: &str| !subject.lines.list(key).is_empty();
        let mut forms = vec!["what", "what", "what", "what", "local"];
        if !subject.dark {
            forms.extend(["why", "like", "how"]);
        }
        forms.extend(["tip"; 2].into_iter().filter(|_| has("goal")));
        forms.extend(["habit"; 2].into_iter().filter(|_| has("act") && has("habit")));
        let form = forms[self.scene.rng.below(forms.len())];
        if self.scene.chance(ALIAS) {
            subject.rename(&mut self.scene);
        }
        let user = self.scene.say(self.lore.ask.list(form));
        let reply = self.answer(subject, form);
        self.turn(user, reply);
    }

    /// What the persona thinks: its stance where the subject has one, else an opinion.
    fn view(&mut self, subject: &Subject) -> String {
        let stance = self.persona.stance(subject).map(|key| subject.lines.list(key));
        match stance {
            Some(lines) if !self.scene.exhausted(lines) && self.scene.chance(STANCE) => {
                let stance = self.scene.say(lines);
                self.stances.push(stance.clone());
                stance
            }
            _ => self.scene.say(subject.lines.list("op")),
        }
    }

    /// What the persona thinks after a short answer, which a stance of its own would contradict.
    fn lead_and_view(&mut self, subject: &Subject, lead: &str) -> [String; 2] {
        let view = self.view(subject);
        let lead = if self.stances.is_empty() {
            self.scene.say(self.lore.answer.list(lead))
        } else {
            String::new()
        };
        [lead, view]
    }

    fn line(&mut self, subject: &Subject, key: &str) -> String {
        self.scene.say(subject.lines.list(key))
    }

    /// A second sentence, sometimes.
    fn detail(&mut self, subject: &Subject, probability: f64) -> String {
        if !self.scene.chance(probability) {
            return String::new();
        }
        let local = self.persona.culture.is_some() && self.scene.chance(0.6);
        self.line(subject, if local { "local" } else { "more" })
    }

    fn back(&mut self, probability: f64) -> String {
        let ask = self.scene.chance(probability);
        if ask { self.scene.say(self.lore.answer.list("back")) } else { String::new() }
    }

    pub(super) fn answer(&mut self, subject: &Subject, form: &str) -> String {
        let shared = &self.lore.answer;
        let parts = match form {
            "why" => {
                let why = self.line(subject, "why");
                [why, self.detail(subject, 0.25), String::new()]
            }
            "tip" => {
                let tip = self.line(subject, "tip");
                let end = if self.scene.chance(0.2) {
                    self.scene.say(shared.list("tipend"))
                } else {
                    String::new()
                };
                [tip, end, String::new()]
            }
            "habit" => {
                let habit = self.line(subject, "habit");
                [habit, self.detail(subject, 0.4), self.back(0.15)]
            }
            "like" | "how" => {
                let lead = if form == "like" { "yes" } else { "how" };
                let [lead, view] = self.lead_and_view(subject, lead);
                [lead, view, self.back(0.15)]
            }
            "local" if self.persona.culture.is_some() => {
                let local = self.line(subject, "local");
                let view = if self.scene.chance(0.5) { self.view(subject) } else { String::new() };
                [local, view, self.back(0.2)]
            }
            "local" => {
                let lead = self.scene.say(shared.list("local_no"));
                [lead, self.view(subject), String::new()]
            }
            "more" => {
                let local = self.persona.culture.is_some() && self.scene.chance(0.5);
                let more = self.line(subject, if local { "local" } else { "more" });
                [more, String::new(), self.back(0.15)]
            }
            _ => {
                let view = self.view(subject);
                [view, self.detail(subject, 0.55), self.back(0.2)]
            }
        };
        parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    }

    /// A later turn; the last one may be a farewell.
    fn go_on(&mut self, last: bool) {
        if last && self.scene.chance(0.18) {
            return self.farewell();
        }
        let Some(subject) = self.subject else {
            let subject = self.lore.any(&mut self.scene);
            self.enter(subject);
            return if self.scene.chance(0.25) { self.exchange("qa") } else { self.ask(subject) };
        };
        match self.scene.rng.unit() {
            d if d < 0.22 => self.follow(subject, "why"),
            d if d < 0.42 => self.follow(subject, "more"),
            d if d < 0.52 => self.follow(subject, "tip"),
            d if d < 0.62 => self.follow(subject, "local"),
            d if d < 0.70 => self.react(),
            d if d < 0.82 => self.exchange("qa"),
            _ => self.change_subject(subject),
        }
    }

    fn follow(&mut self, subject: &'static Subject, form: &'static str) {
        let user = self.scene.say(self.lore.follow.list(form));
        let used_up = self.scene.exhausted(subject.lines.list(form));
        let reply = if used_up && !(form == "local" && self.persona.culture.is_none()) {
            self.scene.say(self.lore.answer.list("turn"))
        } else {
            self.answer(subject, form)
        };
        self.turn(user, reply);
    }

    fn react(&mut self) {
        let form = if self.scene.chance(0.6) { "agree" } else { "disagree" };
        let user = self.scene.say(self.lore.follow.list(form));
        let reply = self.scene.say(self.lore.answer.list(form));
        self.turn(user, reply);
    }

    fn change_subject(&mut self, from: &Subject) {
        let neighbours = from.lines.list("near");
        let neighbour = self.scene.unseen(neighbours).and_then(|name| self.lore.subject(name));
        let next = match neighbour {
            Some(subject) if self.scene.chance(0.7) => subject,
            _ => self.lore.any(&mut self.scene),
        };
        self.enter(next);
        if self.scene.chance(ALIAS) {
            next.rename(&mut self.scene);
        }
        let user = self.scene.say(self.lore.follow.list("other"));
        let reply = self.answer(next, "what");
        self.turn(user, reply);
    }

    pub(super) fn farewell(&mut self) {
        if self.scene.get("s").is_none() {
            let subject = self.lore.any(&mut self.scene);
            self.enter(subject);
        }
        let leaves = self.scene.chance(0.5);
        let (end, end_reply) = if leaves { ("leave", "leave_reply") } else { ("end", "end_reply") };
        let user = self.scene.say(self.lore.answer.list(end));
        let reply = self.scene.say(self.lore.answer.list(end_reply));
        self.turn(user, reply);
    }
}
