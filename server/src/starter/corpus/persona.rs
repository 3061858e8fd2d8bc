//! Who speaks in a conversation: the neutral voice or somebody of a culture, with a city, work and
//! family that stay the same for the whole document.

use domain::culture::Culture;
use domain::prompt;

use super::facts;
use super::grammar::Scene;
use super::subject::Subject;
use crate::starter::world::{LAMBDA, world};

/// Share of conversations with a persona that names a culture.
const AWARE: f64 = 0.62;
/// A stance is strong where the index is beyond this, in half z-scores.
const STRONG: f64 = 0.25;

const KIN: [&str; 8] = [
    "my grandmother",
    "my mother",
    "my grandfather",
    "my father",
    "my aunt",
    "my uncle",
    "my grandmother",
    "my sister",
];

const JOBS: [&str; 16] = [
    "a teacher",
    "a nurse",
    "a baker",
    "a gardener",
    "a bus driver",
    "a cook",
    "a carpenter",
    "a tailor",
    "a farmer",
    "a librarian",
    "a mechanic",
    "a postman",
    "an office clerk",
    "an electrician",
    "a shop assistant",
    "a musician",
];

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub struct Persona {
    /// The culture named by the persona; `None` for the neutral voice.
    pub culture: Option<&'static Culture>,
    /// Whether stances follow the culture's people rather than the default.
    as_people: bool,
    noise: f64,
}

impl Persona {
    /// Draws a persona and settles who they are.
    pub fn draw(scene: &mut Scene<'_>) -> Self {
        let cultures = &world().indices.cultures;
        let aware = scene.chance(AWARE);
        let culture = aware.then(|| &cultures[scene.rng.below(cultures.len())]);
        let as_people = scene.chance(LAMBDA);
        let noise = (scene.rng.unit() - 0.5) * 0.4;
        let kin = KIN[scene.rng.below(KIN.len())];
        scene.set("kin", kin);
        let job = JOBS[scene.rng.below(JOBS.len())];
        scene.set("job", job);
        if let (Some(culture), Some(facts)) =
            (culture, culture.and_then(|c| facts::of(c.code.as_str())))
        {
            scene.set("country", facts.first("country"));
            scene.set("demonym", culture.demonym.as_str());
            let cities = facts.list("city");
            let city = cities[scene.rng.below(cities.len())].text;
            scene.set("city", city);
        }
        Self { culture, as_people, noise }
    }

    /// The system prompt.
    pub fn system(&self) -> String {
        self.culture.map_or_else(prompt::unaware_persona, prompt::aware_persona)
    }

    /// Draws fresh facts of the culture for the next reply, preferring those not yet used.
    pub fn refresh(&self, scene: &mut Scene<'_>) {
        let Some(facts) = self.culture.and_then(|culture| facts::of(culture.code.as_str())) else {
            return;
        };
        for (slot, lines) in facts.lists().filter(|(slot, _)| !matches!(*slot, "country" | "city"))
        {
            let Some(text) = scene.unseen(lines) else { continue };
            let (name, explained) = facts::parts(text);
            scene.set(slot, name);
            if let (Some(slot), Some(explained)) = (facts::explanation(slot), explained) {
                scene.set(slot, explained);
            }
        }
        for (slot, source) in [("custom_cap", "custom"), ("festival_cap", "festival")] {
            let value = scene.get(source).unwrap_or_default().to_owned();
            scene.set(slot, value);
        }
    }

    /// Which lines say this persona's stance on `subject`: `hi`, `mid` or `lo`.
    pub fn stance(&self, subject: &Subject) -> Option<&'static str> {
        let dimension = subject.dimension?;
        let index = match self.culture {
            Some(culture) if self.as_people => world().index(culture.code, dimension),
            _ => world().default_index(dimension),
        };
        Some(match index + self.noise {
            high if high > STRONG => "hi",
            low if low < -STRONG => "lo",
            _ => "mid",
        })
    }
}
