//! What a person chooses for a new run, and what that means in words and as a command. Plain data,
//! no view.

use domain::culture::{Culture, CultureCode};
use domain::method::{AdapterTarget, BadSetting, MethodRequest, Preset, USUAL_SURVEY};

use super::fields::Place;
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
    /// A preset as it is, for the usual survey and its cultures.
    pub fn new(world: &World, preset: Preset) -> Self {
        Self { preset, request: beginning(world, USUAL_SURVEY, preset) }
    }

    /// Takes another preset's settings; name and survey stay.
    pub fn take(&mut self, world: &World, preset: Preset) {
        let (run, survey) = (self.request.run.take(), self.request.survey.take());
        self.preset = preset;
        self.request = MethodRequest { run, survey, ..MethodRequest::default() };
        self.request = self.request.clone().or(beginning(world, self.survey(), preset));
    }

    /// The survey that is asked.
    pub fn survey(&self) -> &str {
        self.request.survey.as_deref().unwrap_or(USUAL_SURVEY)
    }

    /// The cultures of that survey, in its order.
    pub fn cultures<'a>(&self, world: &'a World) -> &'a [Culture] {
        world.cultures_of(self.survey())
    }

    /// Takes another survey with the preset's choice of its cultures and adapters; all else stays.
    pub fn choose_survey(&mut self, world: &World, id: &str) {
        self.request.survey = Some(id.to_owned()).filter(|id| id != USUAL_SURVEY);
        let MethodRequest { cultures, adapters, .. } = beginning(world, id, self.preset);
        (self.request.cultures, self.request.adapters) = (cultures, adapters);
    }

    /// Takes in what was typed for a setting; what can't be read becomes the preset's value.
    pub fn read(&mut self, place: Place, text: &str) {
        place.read(&mut self.request, text);
        // Cultures and adapters are there already.
        self.request = std::mem::take(&mut self.request).or(self.preset.request(&[]));
    }

    /// What is wrong with a setting, if it is the first one that breaks a rule.
    pub fn fault(&self, setting: &str) -> Option<String> {
        let BadSetting { setting: bad, rule, hint } = self.request.check().err()?;
        (bad == setting).then(|| format!("{rule}. {hint}"))
    }

    /// Takes a culture out with its adapter, or in, in the order of the survey.
    pub fn toggle_culture(&mut self, world: &World, code: CultureCode) {
        let all = self.cultures(world);
        let place = |code: &CultureCode| all.iter().position(|c| c.code == *code);
        let chosen = self.request.cultures.get_or_insert_default();
        toggle(chosen, code);
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
        let changed = self.request.beyond(&beginning(world, self.survey(), self.preset)).options();
        let space = if changed.is_empty() { "" } else { " " };
        let server = world.options.with_prompts(self.request.prompts.as_deref());
        format!("polylogue run --preset {}{space}{changed}{server}", self.preset)
    }
}

/// The preset for this survey.
fn beginning(world: &World, survey: &str, preset: Preset) -> MethodRequest {
    let cultures = world.cultures_of(survey).iter().map(|culture| culture.code);
    preset.request(&cultures.collect::<Vec<_>>())
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
    use domain::instance::CollectionRule;
    use domain::method::Elicitation;
    use domain::survey::Provenance;

    use super::*;
    use crate::api::{CommandOptions, SurveyInfo};
    use crate::components::studio::fields::tests::place;
    use crate::components::talk::choice::tests::world as world_of;

    fn code(text: &str) -> CultureCode {
        text.parse().unwrap()
    }

    /// A world whose cultures are those of two surveys together.
    fn world(starter: &[&str], other: &[&str]) -> World {
        let all: Vec<&str> = starter.iter().chain(other).copied().collect();
        let survey = |id: &str, codes: &[&str]| SurveyInfo {
            id: id.to_owned(),
            title: id.to_owned(),
            provenance: Provenance::Simulated("test".to_owned()),
            evaluated: 4,
            cultures: world_of(codes, &[]).cultures,
        };
        let surveys = vec![survey("starter", starter), survey("mine", other)];
        World { surveys, ..world_of(&all, &["joint"]) }
    }

    #[test]
    fn the_form_follows_the_cultures_of_its_survey() {
        let world = world(&["USA", "THA", "NGA"], &["MEX", "USA-rural", "THA"]);
        let mut form = Form::new(&world, Preset::Quick);
        assert_eq!(form.request.cultures, Some(["USA", "THA", "NGA"].map(code).to_vec()));
        form.request.share = Some(0.5);
        form.choose_survey(&world, "mine");
        assert_eq!(form.request.cultures, Some(["MEX", "USA-rural", "THA"].map(code).to_vec()));
        assert!(form.has_adapter(AdapterTarget::Specific(code("THA"))));
        assert!(!form.has_adapter(AdapterTarget::Specific(code("NGA"))));
        let command = "polylogue run --preset quick --survey mine --share 0.5";
        assert_eq!(form.command(&world), command, "the command takes the same cultures");
        form.take(&world, Preset::Paper);
        assert_eq!(form.command(&world), "polylogue run --preset paper --survey mine");
        let targets = form.request.adapters.as_ref().unwrap();
        assert_eq!(targets.len(), 4, "joint and one per culture of the survey");
        form.toggle_culture(&world, code("USA-rural"));
        form.toggle_culture(&world, code("USA-rural"));
        assert_eq!(form.request.cultures, Some(["MEX", "USA-rural", "THA"].map(code).to_vec()));
        form.choose_survey(&world, "starter");
        assert_eq!(form.command(&world), "polylogue run --preset paper");
    }

    #[test]
    fn the_command_names_the_servers_model_and_templates() {
        let options = CommandOptions {
            model: "--model 'my model' --weights q8_0".to_owned(),
            templates: "--templates prompts".to_owned(),
        };
        let world = World { options, ..world(&["USA", "THA"], &[]) };
        let mut form = Form::new(&world, Preset::Paper);
        let model = "polylogue run --preset paper --model 'my model' --weights q8_0";
        assert_eq!(form.command(&world), model);
        form.request.prompts = Some("thai@1".to_owned());
        let both = "polylogue run --preset paper --prompts thai@1 --model 'my model' --weights q8_0 \
                    --templates prompts";
        assert_eq!(form.command(&world), both);
    }

    #[test]
    fn an_emptied_field_is_said_in_the_command_or_filled_again() {
        let world = world(&["USA", "THA"], &[]);
        let mut form = Form::new(&world, Preset::Paper);
        form.read(place("samples"), "");
        assert_eq!(form.request.samples, Some(Elicitation::Probabilities));
        assert_eq!(form.command(&world), "polylogue run --preset paper --samples off");
        form.read(place("samples"), "1");
        form.read(place("per-topic"), "");
        form.read(place("epochs"), "many");
        assert_eq!(form.command(&world), "polylogue run --preset paper");
        assert_eq!(form.request.per_topic, Some(1000));
    }

    #[test]
    fn a_fault_is_told_beside_its_field() {
        let mut form = Form::new(&world(&["USA", "THA"], &[]), Preset::Paper);
        assert_eq!(form.fault("samples"), None);
        form.request.rule = Some(CollectionRule::Shift);
        let fault = form.fault("samples").unwrap();
        assert!(fault.contains("2 or more") && fault.contains("Draw more replies"), "{fault}");
        assert_eq!(form.fault("rule"), None);
    }

    #[test]
    fn a_form_says_what_it_does_and_how_to_do_it_elsewhere() {
        let world = world(&["USA", "THA", "NGA"], &["MEX"]);
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
