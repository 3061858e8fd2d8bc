//! Which voices a survey run asks: cultures times kinds. Plain functions, no view.

use std::collections::BTreeSet;
use std::fmt;

use domain::culture::{Culture, CultureCode};
use domain::prompt::PromptStyle;
use domain::voice::Voice;

use crate::api::{AdapterInfo, World};

/// What voices of different cultures have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The base model, no culture named. One voice for all cultures.
    Unaware,
    /// The base model under the culture's persona.
    Aware,
    /// The culture's persona with an adapter that all cultures share.
    Shared(String),
    /// The culture's persona with the culture's own adapter, which this run has tuned, or which came
    /// with the model.
    Specific(Option<String>),
    /// A voice without culture but with an adapter.
    UnawareWith(String),
    /// The base model told of the culture in another way than by the plain persona.
    Styled(PromptStyle),
}

impl Kind {
    /// The kind of a voice.
    pub fn of(voice: &Voice) -> Self {
        match (&voice.adapter, voice.culture, voice.style) {
            (None, Some(_), PromptStyle::Aware) => Self::Aware,
            (None, None, _) | (None, _, PromptStyle::Unaware) => Self::Unaware,
            (None, Some(_), style) => Self::Styled(style),
            (Some(name), Some(_), style)
                if !matches!(style, PromptStyle::Unaware | PromptStyle::Aware) =>
            {
                Self::Shared(format!("{name} · {style}"))
            }
            (Some(name), Some(culture), _) => {
                let (run, own) = match name.split_once('/') {
                    Some((run, own)) => (Some(run.to_owned()), own),
                    None => (None, name.as_str()),
                };
                match own == format!("specific-{culture}") {
                    true => Self::Specific(run),
                    false => Self::Shared(name.clone()),
                }
            }
            (Some(name), None, _) => Self::UnawareWith(name.clone()),
        }
    }

    /// Whether people's answers are part of its prompts.
    pub fn uses_reference(&self) -> bool {
        matches!(self, Self::Styled(style) if style.uses_reference())
    }

    /// What a person reads beside the box that chooses it.
    pub fn explanation(&self) -> String {
        match self {
            Self::Unaware => "unaware: base model, no culture named".to_owned(),
            Self::Aware => "aware: base model told the culture".to_owned(),
            Self::Shared(name) => {
                format!("{name}: told the culture, with the adapter of all cultures")
            }
            Self::Specific(_) => {
                format!("{self}: told the culture, with the culture’s own adapter")
            }
            Self::UnawareWith(name) => format!("unaware with {name}"),
            Self::Styled(style) => styled(*style).to_owned(),
        }
    }
}

/// What a style adds, in the words of the page.
fn styled(style: PromptStyle) -> &'static str {
    match style {
        PromptStyle::Unaware => "unaware: no culture named",
        PromptStyle::Aware => "P1 aware: told the culture",
        PromptStyle::CrossCulture => {
            "P2 cross-culture: told the culture, and which are most and least like it"
        }
        PromptStyle::SelfAlignment => {
            "P3 self-alignment: shown people’s answers to neighbouring questions"
        }
        PromptStyle::AwareSelfAlignment => "P1 + P3: told the culture, and shown people’s answers",
        PromptStyle::CrossCultureSelfAlignment => {
            "P2 + P3: cross-culture, and shown people’s answers"
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unaware => f.pad("unaware"),
            Self::Aware => f.pad("aware"),
            Self::Shared(name) => f.pad(name),
            Self::Specific(None) => f.pad("specific"),
            Self::Specific(Some(run)) => write!(f, "{run}/specific"),
            Self::UnawareWith(name) => write!(f, "unaware with {name}"),
            Self::Styled(style) => f.pad(style.as_str()),
        }
    }
}

/// The kinds that this world can offer.
pub fn kinds(world: &World) -> Vec<Kind> {
    let shared = world.adapters.iter().filter(|adapter| adapter.culture.is_none());
    let mut kinds = vec![Kind::Unaware, Kind::Aware];
    kinds.extend(shared.map(|adapter| Kind::Shared(adapter.name.clone())));
    let own = world.adapters.iter().filter(|a| a.culture.is_some() && !a.is_checkpoint());
    let runs: BTreeSet<Option<String>> = own.map(|a| a.run().map(str::to_owned)).collect();
    kinds.extend(runs.into_iter().map(Kind::Specific));
    let styles = PromptStyle::ALL.into_iter().skip(2);
    kinds.extend(styles.map(Kind::Styled));
    kinds
}

/// The cultures that a survey knows.
pub fn cultures_of(world: &World, survey: &str) -> Vec<Culture> {
    let found = world.surveys.iter().find(|info| info.id == survey);
    found.map(|info| info.cultures.clone()).unwrap_or_default()
}

/// Cultures of a first run: few, and far from each other.
pub fn default_cultures(offered: &[Culture]) -> BTreeSet<CultureCode> {
    let known = |code: &CultureCode| offered.iter().any(|culture| culture.code == *code);
    let wanted = ["DEU", "NGA", "THA"].iter().filter_map(|code| code.parse().ok()).filter(known);
    let chosen: BTreeSet<CultureCode> = wanted.collect();
    if chosen.is_empty() {
        return offered.iter().take(3).map(|culture| culture.code).collect();
    }
    chosen
}

/// Kinds of a first run: what awareness does and what joint tuning does.
pub fn default_kinds(world: &World) -> BTreeSet<Kind> {
    let first = |kind: &Kind| !matches!(kind, Kind::Specific(_) | Kind::Styled(_));
    kinds(world).into_iter().filter(first).take(3).collect()
}

/// The voices of a run, the unaware one first, then culture by culture. A culture without an adapter
/// of its own has no specific voice.
pub fn voices(
    world: &World,
    cultures: &BTreeSet<CultureCode>,
    kinds: &BTreeSet<Kind>,
) -> Vec<Voice> {
    let mut voices = Vec::new();
    if kinds.contains(&Kind::Unaware) {
        voices.push(Voice::unaware());
    }
    let ordered = world.cultures.iter().map(|c| c.code).filter(|code| cultures.contains(code));
    for culture in ordered {
        voices.extend(kinds.iter().filter_map(|kind| match kind {
            Kind::Aware => Some(Voice::aware(culture)),
            Kind::Shared(name) => Some(Voice::adapted(culture, name)),
            Kind::Specific(run) => {
                let beside = |a: &&AdapterInfo| a.run() == run.as_deref() && !a.is_checkpoint();
                let mut own = world.adapters.iter().filter(beside);
                let own = own.find(|a| a.culture == Some(culture))?;
                Some(Voice::adapted(culture, &own.name))
            }
            Kind::Styled(style) => Some(Voice::styled(culture, *style)),
            Kind::Unaware | Kind::UnawareWith(_) => None,
        }));
    }
    voices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::talk::choice::tests::world;

    fn slugs(voices: &[Voice]) -> Vec<String> {
        voices.iter().map(Voice::slug).collect()
    }

    #[test]
    fn a_first_run_compares_unaware_aware_and_joint() {
        let world = world(&["USA", "THA", "NGA"], &["joint", "specific-THA"]);
        let asked = voices(&world, &default_cultures(&world.cultures), &default_kinds(&world));
        assert_eq!(slugs(&asked), ["unaware", "THA", "THA+joint", "NGA", "NGA+joint"]);
    }

    #[test]
    fn a_culture_without_its_own_adapter_has_no_specific_voice() {
        let world = world(&["THA", "NGA"], &["specific-THA"]);
        assert_eq!(kinds(&world)[..3], [Kind::Unaware, Kind::Aware, Kind::Specific(None)]);
        let all = world.cultures.iter().map(|culture| culture.code).collect();
        let asked = voices(&world, &all, &BTreeSet::from([Kind::Specific(None)]));
        assert_eq!(slugs(&asked), ["THA+specific-THA"]);
    }

    #[test]
    fn kinds_come_back_from_voices() {
        for (slug, kind) in [
            ("unaware", "unaware"),
            ("THA", "aware"),
            ("THA+joint", "joint"),
            ("THA+specific-THA", "specific"),
            ("THA+specific-NGA", "specific-NGA"),
            ("THA+a-run/specific-THA", "a-run/specific"),
            ("THA+a-run/joint", "a-run/joint"),
            ("unaware+joint", "unaware with joint"),
            ("THA:cross-culture", "cross-culture"),
            ("THA:self-alignment+joint", "joint · self-alignment"),
        ] {
            assert_eq!(Kind::of(&Voice::from_slug(slug).unwrap()).to_string(), kind);
        }
    }
}
