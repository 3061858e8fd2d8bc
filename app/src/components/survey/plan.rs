//! Which voices a survey run asks: cultures times kinds. Plain functions, no view.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The culture's persona with another culture's own adapter of this run, or of those that came with
    /// the model.
    Crossed(Option<String>),
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
            (Some(name), Some(culture), _) => match owner(name) {
                Some((run, owner)) if owner == culture => Self::Specific(run),
                Some((run, _)) => Self::Crossed(run),
                None => Self::Shared(name.clone()),
            },
            (Some(name), None, _) => Self::UnawareWith(name.clone()),
        }
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
            Self::Crossed(_) => format!(
                "{self}: told the culture, with every chosen culture’s own adapter in turn (adapter i on \
                 culture j)"
            ),
            Self::UnawareWith(name) => format!("unaware with {name}"),
            Self::Styled(style) => styled(*style).to_owned(),
        }
    }
}

/// Run and culture of an adapter of its own by its name; the run is `None` for one that came with the
/// model.
pub fn owner(adapter: &str) -> Option<(Option<String>, CultureCode)> {
    let (run, own) = match adapter.split_once('/') {
        Some((run, own)) => (Some(run.to_owned()), own),
        None => (None, adapter),
    };
    Some((run, own.strip_prefix("specific-")?.parse().ok()?))
}

/// What a style adds, in the words of the page.
fn styled(style: PromptStyle) -> &'static str {
    match style {
        PromptStyle::Unaware => "unaware: no culture named",
        PromptStyle::Aware => "P1 aware: told the culture",
        PromptStyle::CrossCulture => {
            "P2 cross-culture: told the culture, and which are most and least like it (a table of likeness \
             that the survey brings along may rest on held-out answers)"
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
            Self::Crossed(None) => f.pad("crossed"),
            Self::Crossed(Some(run)) => write!(f, "{run}/crossed"),
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
    let mut runs: BTreeMap<Option<String>, usize> = BTreeMap::new();
    own.for_each(|a| *runs.entry(a.run().map(str::to_owned)).or_default() += 1);
    kinds.extend(runs.keys().cloned().map(Kind::Specific));
    // With one adapter there is nothing to cross.
    let several = runs.into_iter().filter(|(_, count)| *count > 1);
    kinds.extend(several.map(|(run, _)| Kind::Crossed(run)));
    let styles = PromptStyle::ALL.into_iter().skip(2);
    kinds.extend(styles.map(Kind::Styled));
    kinds
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
    let first =
        |kind: &Kind| !matches!(kind, Kind::Specific(_) | Kind::Crossed(_) | Kind::Styled(_));
    kinds(world).into_iter().filter(first).take(3).collect()
}

/// The voices of a run, the unaware one first, then culture by culture. A culture without an adapter
/// of its own has no specific voice; crossed voices are those of the chosen cultures' own adapters,
/// each as all of these cultures.
pub fn voices(
    world: &World,
    cultures: &BTreeSet<CultureCode>,
    kinds: &BTreeSet<Kind>,
) -> Vec<Voice> {
    let mut voices = Vec::new();
    if kinds.contains(&Kind::Unaware) {
        voices.push(Voice::unaware());
    }
    let ordered: Vec<CultureCode> =
        world.cultures.iter().map(|c| c.code).filter(|code| cultures.contains(code)).collect();
    let own = |run: &Option<String>, owner: CultureCode| {
        let beside = |a: &&AdapterInfo| a.run() == run.as_deref() && !a.is_checkpoint();
        world.adapters.iter().filter(beside).find(|a| a.culture == Some(owner))
    };
    for &culture in &ordered {
        for kind in kinds {
            match kind {
                Kind::Aware => voices.push(Voice::aware(culture)),
                Kind::Shared(name) => voices.push(Voice::adapted(culture, name)),
                Kind::Specific(run) => {
                    voices.extend(own(run, culture).map(|a| Voice::adapted(culture, &a.name)));
                }
                Kind::Crossed(run) => {
                    let owners = ordered.iter().filter_map(|owner| own(run, *owner));
                    voices.extend(owners.map(|a| Voice::adapted(culture, &a.name)));
                }
                Kind::Styled(style) => voices.push(Voice::styled(culture, *style)),
                Kind::Unaware | Kind::UnawareWith(_) => {}
            }
        }
    }
    // A culture's own adapter as that culture is both a specific and a crossed voice.
    let mut seen = BTreeSet::new();
    voices.retain(|voice| seen.insert(voice.clone()));
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
    fn own_adapters_are_asked_as_every_chosen_culture() {
        let adapters = ["joint", "specific-THA", "specific-NGA", "specific-USA"];
        let world = world(&["USA", "THA", "NGA"], &adapters);
        assert!(kinds(&world).contains(&Kind::Crossed(None)));
        let chosen = ["THA", "NGA"].map(|code| code.parse().unwrap()).into();
        let both = BTreeSet::from([Kind::Specific(None), Kind::Crossed(None)]);
        assert_eq!(
            slugs(&voices(&world, &chosen, &both)),
            ["THA+specific-THA", "THA+specific-NGA", "NGA+specific-NGA", "NGA+specific-THA"]
        );
        let crossed = BTreeSet::from([Kind::Crossed(None)]);
        assert_eq!(voices(&world, &chosen, &crossed).len(), 4, "the own ones are part of it");
        for (slug, kind) in [
            ("THA+specific-THA", Kind::Specific(None)),
            ("THA+mine/specific-NGA", Kind::Crossed(Some("mine".to_owned()))),
            ("THA+mine/joint", Kind::Shared("mine/joint".to_owned())),
        ] {
            assert_eq!(Kind::of(&Voice::from_slug(slug).unwrap()), kind, "{slug}");
        }
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
            ("THA+specific-NGA", "crossed"),
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
