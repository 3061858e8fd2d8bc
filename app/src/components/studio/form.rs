//! What a person chooses for a new run, and what that means in words and as a command. Plain data,
//! no view.

use domain::culture::CultureCode;
use domain::method::{AdapterTarget, MethodRequest, Preset};

use crate::api::World;
use crate::components::words::counted;

/// Settings for a new run that begin as a preset's.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// Where they began.
    pub preset: Preset,
    /// Every setting; only the run's name may be missing.
    pub request: MethodRequest,
}

impl Form {
    /// A preset as it is, for the surveys and cultures of this world.
    pub fn new(world: &World, preset: Preset) -> Self {
        Self { preset, request: beginning(world, preset) }
    }

    /// Takes another preset's settings; name and survey stay.
    pub fn take(&mut self, world: &World, preset: Preset) {
        let (run, survey) = (self.request.run.take(), self.request.survey.take());
        *self = Self::new(world, preset);
        (self.request.run, self.request.survey) = (run, survey);
    }

    /// Takes a culture out with its adapter, or in, in the order of the world.
    pub fn toggle_culture(&mut self, world: &World, code: CultureCode) {
        let chosen = self.request.cultures.get_or_insert_default();
        toggle(chosen, code);
        let place = |code: &CultureCode| world.cultures.iter().position(|c| c.code == *code);
        chosen.sort_by_key(place);
        let chosen = chosen.clone();
        let kept = |target: &AdapterTarget| target.culture().is_none_or(|c| chosen.contains(&c));
        self.request.adapters.get_or_insert_default().retain(kept);
    }

    /// Takes an adapter out or in.
    pub fn toggle_adapter(&mut self, target: AdapterTarget) {
        let chosen = self.request.adapters.get_or_insert_default();
        toggle(chosen, target);
        chosen.sort();
    }

    /// Whether the culture takes part.
    pub fn has_culture(&self, code: CultureCode) -> bool {
        self.request.cultures.as_ref().is_some_and(|chosen| chosen.contains(&code))
    }

    /// Whether the adapter is tuned.
    pub fn has_adapter(&self, target: AdapterTarget) -> bool {
        self.request.adapters.as_ref().is_some_and(|chosen| chosen.contains(&target))
    }

    /// `16 questions per topic, 18 cultures, joint and 3 specific adapters; …`.
    pub fn summary(&self) -> String {
        let request = &self.request;
        let questions = counted(request.per_topic.unwrap_or_default(), "question");
        let cultures = counted(request.cultures.as_ref().map_or(0, Vec::len), "culture");
        let passes = match request.epochs.unwrap_or_default() {
            1 => "1 pass".to_owned(),
            passes => format!("{passes} passes"),
        };
        let rate = request.learning_rate.unwrap_or_default();
        let adapters = adapters_in_words(request.adapters.as_deref().unwrap_or_default());
        let seed = request.seed.unwrap_or_default();
        let variant = match self.is_variant() {
            true => "; a variant of the method",
            false => "",
        };
        format!(
            "{questions} per topic, {cultures}, {adapters}; learning rate {rate}, {passes}, \
             seed {seed}{variant}"
        )
    }

    /// Whether something is chosen that the paper only compares with.
    fn is_variant(&self) -> bool {
        let MethodRequest { seeds_per_topic, style, rule, source, samples, share, general, .. } =
            self.request.beyond(&self.preset.request(&[]));
        let chosen = style.is_some() || rule.is_some() || source.is_some() || samples.is_some();
        chosen || seeds_per_topic.is_some() || share.is_some() || general.is_some()
    }

    /// The command that does the same.
    pub fn command(&self, world: &World) -> String {
        let changed = self.request.beyond(&beginning(world, self.preset)).options();
        let space = if changed.is_empty() { "" } else { " " };
        format!("polylogue run --preset {}{space}{changed}", self.preset)
    }
}

fn beginning(world: &World, preset: Preset) -> MethodRequest {
    let cultures: Vec<CultureCode> = world.cultures.iter().map(|culture| culture.code).collect();
    preset.request(&cultures)
}

fn toggle<T: PartialEq>(items: &mut Vec<T>, item: T) {
    match items.iter().position(|other| *other == item) {
        Some(place) => drop(items.remove(place)),
        None => items.push(item),
    }
}

/// `the joint and 3 specific adapters`.
pub fn adapters_in_words(adapters: &[AdapterTarget]) -> String {
    let joint = adapters.contains(&AdapterTarget::Joint);
    let specific = adapters.len() - usize::from(joint);
    let plural = if specific == 1 { "" } else { "s" };
    match (joint, specific) {
        (true, 0) => "the joint adapter".to_owned(),
        (true, specific) => format!("the joint and {specific} specific adapter{plural}"),
        (false, 0) => "no adapter".to_owned(),
        (false, specific) => format!("{specific} specific adapter{plural}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::talk::choice::tests::world;

    fn code(text: &str) -> CultureCode {
        text.parse().unwrap()
    }

    #[test]
    fn a_form_says_what_it_does_and_how_to_do_it_elsewhere() {
        let world = world(&["USA", "THA", "NGA"], &["joint"]);
        let mut form = Form::new(&world, Preset::Quick);
        assert_eq!(form.command(&world), "polylogue run --preset quick");
        assert!(form.summary().starts_with("16 questions per topic, 3 cultures, the joint and 2"));
        form.toggle_culture(&world, code("NGA"));
        form.request.run = Some("mine".to_owned());
        assert_eq!(
            form.command(&world),
            "polylogue run --preset quick --run mine --cultures USA,THA --adapters joint,THA"
        );
        form.toggle_culture(&world, code("NGA"));
        assert_eq!(form.request.cultures, Some(["USA", "THA", "NGA"].map(code).to_vec()));
        form.toggle_adapter(AdapterTarget::Joint);
        form.toggle_adapter(AdapterTarget::Specific(code("USA")));
        assert!(form.has_adapter(AdapterTarget::Specific(code("USA"))));
        assert!(!form.has_adapter(AdapterTarget::Joint));
        assert!(!form.summary().contains("variant"));
        form.request.share = Some(0.5);
        assert!(form.summary().ends_with("a variant of the method"), "{}", form.summary());
        form.take(&world, Preset::Paper);
        assert_eq!(form.command(&world), "polylogue run --preset paper --run mine");
    }

    #[test]
    fn adapters_are_counted_in_words() {
        let joint = AdapterTarget::Joint;
        let thai = AdapterTarget::Specific(code("THA"));
        for (adapters, expect) in [
            (vec![], "no adapter"),
            (vec![joint], "the joint adapter"),
            (vec![thai], "1 specific adapter"),
            (vec![joint, thai], "the joint and 1 specific adapter"),
        ] {
            assert_eq!(adapters_in_words(&adapters), expect);
        }
    }
}
