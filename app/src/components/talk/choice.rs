//! Which voices a world offers, and how one voice becomes another. Plain functions, no view.

use domain::culture::CultureCode;
use domain::voice::Voice;

use crate::api::{AdapterInfo, World};

/// The voices of a first visit: the base model unaware, one culture aware, the same tuned.
pub fn default_voices(world: &World) -> Vec<Voice> {
    let thai = world.cultures.iter().find(|culture| culture.code.as_str() == "THA");
    let Some(culture) = thai.or(world.cultures.first()).map(|culture| culture.code) else {
        return vec![Voice::unaware()];
    };
    let mut voices = vec![Voice::unaware(), Voice::aware(culture)];
    if let Some((Some(adapter), _)) = adapter_choices(world, Some(culture)).get(1) {
        voices.push(Voice::adapted(culture, adapter));
    }
    voices
}

/// Adapters to offer beside the base model for a persona: the joint ones, then the culture's own.
/// Each with the label that a person reads; the first is no adapter at all.
pub fn adapter_choices(
    world: &World,
    culture: Option<CultureCode>,
) -> Vec<(Option<String>, String)> {
    let base = (None, "Base model".to_owned());
    let joint = world.adapters.iter().filter(|adapter| adapter.culture.is_none());
    let own = world.adapters.iter().filter(|a| a.culture.is_some() && a.culture == culture);
    let adapters = joint.chain(own).map(|a| (Some(a.name.clone()), format!("Adapter {}", a.name)));
    std::iter::once(base).chain(adapters).collect()
}

/// The same kind of voice for another culture (or none): a culture's own adapter becomes the other
/// culture's own, where there is one.
pub fn with_culture(world: &World, voice: &Voice, culture: Option<CultureCode>) -> Voice {
    let adapter = voice.adapter.as_ref().and_then(|name| {
        let own = world.adapters.iter().find(|a| a.name == *name && a.culture.is_some());
        let Some(own) = own else { return Some(name.clone()) };
        let beside =
            |a: &&AdapterInfo| a.culture.is_some() && a.culture == culture && a.run() == own.run();
        let other = world.adapters.iter().find(beside);
        other.map(|a| a.name.clone())
    });
    Voice { adapter, ..culture.map_or_else(Voice::unaware, Voice::aware) }
}

/// A voice that is not among `present` yet, for the button that adds one.
pub fn next_voice(world: &World, present: &[Voice]) -> Voice {
    let aware = world.cultures.iter().map(|culture| Voice::aware(culture.code));
    // Far from Thailand in most answers, so that the second click shows a contrast.
    let favourites = ["NGA", "DEU", "USA"].iter().filter_map(|code| code.parse().ok());
    let favourites = favourites
        .map(Voice::aware)
        .filter(|voice| world.cultures.iter().any(|culture| Some(culture.code) == voice.culture));
    std::iter::once(Voice::unaware())
        .chain(favourites)
        .chain(aware)
        .find(|voice| !present.contains(voice))
        .unwrap_or_else(Voice::unaware)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::api::{AdapterInfo, ModelInfo};
    use domain::culture::Culture;

    pub(crate) fn world(cultures: &[&str], adapters: &[&str]) -> World {
        let code = |text: &str| text.parse::<CultureCode>().ok();
        World {
            model: ModelInfo {
                name: "Polylogue Starter".to_owned(),
                hash: "0123456789ab".to_owned(),
                parameters: 5_000_000,
                context: 1024,
                device: "cpu".to_owned(),
                weights: "f32".to_owned(),
                starter: true,
            },
            cultures: cultures
                .iter()
                .map(|c| Culture {
                    code: c.parse().unwrap(),
                    name: (*c).to_owned(),
                    demonym: (*c).to_owned(),
                })
                .collect(),
            adapters: adapters
                .iter()
                .map(|name| AdapterInfo {
                    name: (*name).to_owned(),
                    hash: "ab".to_owned(),
                    culture: name.strip_prefix("specific-").and_then(code),
                })
                .collect(),
            surveys: Vec::new(),
            templates: vec![],
            options: crate::api::CommandOptions::default(),
            max_voices: 6,
            max_message_bytes: 4000,
        }
    }

    fn slugs(voices: &[Voice]) -> Vec<String> {
        voices.iter().map(Voice::slug).collect()
    }

    #[test]
    fn a_first_visit_shows_what_tuning_does() {
        for (cultures, adapters, expect) in [
            (
                &["USA", "THA"][..],
                &["joint", "specific-THA"][..],
                &["unaware", "THA", "THA+joint"][..],
            ),
            (&["USA", "THA"], &["specific-THA"], &["unaware", "THA", "THA+specific-THA"]),
            (&["USA"], &[], &["unaware", "USA"]),
            (&[], &[], &["unaware"]),
        ] {
            assert_eq!(slugs(&default_voices(&world(cultures, adapters))), expect);
        }
    }

    #[test]
    fn changing_the_culture_keeps_the_kind() {
        let world = world(&["THA", "NGA", "KEN"], &["joint", "specific-THA", "specific-NGA"]);
        for (from, to, expect) in [
            ("THA", "NGA", "NGA"),
            ("THA+joint", "NGA", "NGA+joint"),
            ("THA+specific-THA", "NGA", "NGA+specific-NGA"),
            ("THA+specific-THA", "KEN", "KEN"),
            ("unaware", "KEN", "KEN"),
            ("THA+specific-THA", "", "unaware"),
            ("THA+joint", "", "unaware+joint"),
        ] {
            let voice = Voice::from_slug(from).unwrap();
            assert_eq!(with_culture(&world, &voice, to.parse().ok()).slug(), expect, "{from} {to}");
        }
    }

    #[test]
    fn a_new_voice_is_a_new_one() {
        let world = world(&["THA", "NGA"], &[]);
        let mut present = default_voices(&world);
        present.push(next_voice(&world, &present));
        assert_eq!(slugs(&present), ["unaware", "THA", "NGA"]);
    }
}
