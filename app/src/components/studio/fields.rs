//! The settings that are typed or chosen one by one: their names for people, and where they stand in
//! a request. Those of the filter and of tuning are in `filter` and `tuning`. Plain data, no view.

use std::str::FromStr;

use domain::filter::FilterRules;
use domain::method::{Elicitation, MethodRequest, Tuning};

mod filter;
mod tuning;

pub use filter::{FILTER_NUMBERS, FILTER_SETS, FILTER_SWITCHES};
pub use tuning::{SCHEDULE, TUNING_NUMBERS, TUNING_SWITCHES, has_module, toggle_module};

/// Where a setting stands in a request.
#[derive(Clone, Copy)]
pub enum Place {
    /// A setting of its own.
    Own {
        /// The value as text; empty where it is the usual one.
        show: fn(&MethodRequest) -> String,
        /// Takes a text in; empty for the usual value.
        read: fn(&mut MethodRequest, &str),
    },
    /// A rule of the filter, by its name.
    Filter(&'static str),
    /// A setting of tuning, by its name.
    Tuning(&'static str),
}

impl Place {
    /// The value as text; empty where it is the usual one, or off.
    pub fn show(self, request: &MethodRequest) -> String {
        let named = |values: &[(&str, String)], name: &str| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        match self {
            Self::Own { show, .. } => show(request),
            Self::Filter(name) => match named(&rules(request).values(), name) {
                value if value == "off" => String::new(),
                value => value,
            },
            Self::Tuning(name) => named(&tuning(request).values(), name),
        }
    }

    /// Takes a text in: empty for the usual value, and for a rule that is off. What can't be read
    /// changes nothing there.
    pub fn read(self, request: &mut MethodRequest, text: &str) {
        match self {
            Self::Own { read, .. } => read(request, text),
            Self::Filter(name) => {
                let value = if text.is_empty() { "off" } else { text };
                // As somebody would write it: the rules so far, then this one.
                if let Ok(changed) = format!("{},{name}={value}", rules(request)).parse() {
                    request.filter = Some(changed);
                }
            }
            Self::Tuning(name) => {
                let usual = || Self::Tuning(name).show(&MethodRequest::default());
                let value = if text.is_empty() { usual() } else { text.to_owned() };
                if let Ok(changed) = format!("{},{name}={value}", tuning(request)).parse() {
                    request.tuning = Some(changed);
                }
            }
        }
    }
}

fn rules(request: &MethodRequest) -> FilterRules {
    request.filter.clone().unwrap_or_default()
}

fn tuning(request: &MethodRequest) -> Tuning {
    request.tuning.clone().unwrap_or_default()
}

/// A setting that is typed as a number.
#[derive(Clone, Copy)]
pub struct Number {
    /// Hook for tests, and the setting's name on the command line.
    pub testid: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// What it does, in a few words.
    pub explanation: &'static str,
    /// Step of the number field.
    pub step: &'static str,
    /// Where it stands.
    pub place: Place,
}

/// A setting that is on or off.
#[derive(Clone, Copy)]
pub struct Switch {
    /// Hook for tests, and the setting's name on the command line.
    pub testid: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// What it does, in a few words.
    pub explanation: &'static str,
    /// Where it stands.
    pub place: Place,
}

/// A setting that is chosen from a few; the first is the default.
#[derive(Clone, Copy)]
pub struct Choice {
    /// Hook for tests, and the setting's name on the command line.
    pub testid: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// What it does, in a few words.
    pub explanation: &'static str,
    /// Values and what people read.
    pub options: &'static [(&'static str, &'static str)],
    /// Where it stands.
    pub place: Place,
}

/// How the aware side is told of its culture.
pub const STYLE: Choice = Choice {
    testid: "style",
    label: "Prompt style",
    explanation: "how the aware side is told of its culture",
    options: &[
        ("aware", "P1: named"),
        ("cross-culture", "P2: among its likes"),
        ("self-alignment", "P3: people’s answers"),
        ("aware-self-alignment", "P1 + P3"),
        ("cross-culture-self-alignment", "P2 + P3"),
    ],
    place: Place::Own {
        show: |request| shown(&request.style),
        read: |request, text| request.style = read(text),
    },
};

/// How answers are read.
pub const SAMPLES: Number = Number {
    testid: "samples",
    label: "Replies per question",
    explanation: "empty: probabilities are read",
    step: "1",
    place: Place::Own {
        show: |request| drawn(request),
        read: |request, text| request.samples = Some(replies(text)),
    },
};

/// The choices of which pairs are kept and learnt.
pub const PAIR_CHOICES: [Choice; 2] = [
    Choice {
        testid: "rule",
        label: "Kept pairs",
        explanation: "whose two answers count as different",
        options: &[("different", "another option"), ("shift", "beyond the noise")],
        place: Place::Own {
            show: |request| shown(&request.rule),
            read: |request, text| request.rule = read(text),
        },
    },
    Choice {
        testid: "source",
        label: "Learnt pairs",
        explanation: "others are there to compare with",
        options: &[
            ("inconsistent", "the instances"),
            ("random", "as many of all pairs"),
            ("consistent", "as many of the others"),
        ],
        place: Place::Own {
            show: |request| shown(&request.source),
            read: |request, text| request.source = read(text),
        },
    },
];

/// The numbers of which pairs are learnt.
pub const PAIR_NUMBERS: [Number; 2] = [
    Number {
        testid: "share",
        label: "Share that is learnt",
        explanation: "1 is all of them",
        step: "any",
        place: Place::Own {
            show: |request| shown(&request.share),
            read: |request, text| request.share = read(text),
        },
    },
    Number {
        testid: "general",
        label: "General conversations",
        explanation: "per instance; 0 is none",
        step: "any",
        place: Place::Own {
            show: |request| shown(&request.general),
            read: |request, text| request.general = read(text),
        },
    },
];

/// How many seeds new questions are written after.
pub const SEEDS_PER_TOPIC: Number = Number {
    testid: "seeds-per-topic",
    label: "Examples per topic",
    explanation: "that new questions are written after; empty: all",
    step: "1",
    place: Place::Own {
        show: |request| shown(&request.seeds_per_topic),
        read: |request, text| request.seeds_per_topic = read(text),
    },
};

/// The numbers of every run.
pub const NUMBERS: [Number; 5] = [
    Number {
        testid: "per-topic",
        label: "Questions per topic",
        explanation: "how many the model is asked to write",
        step: "1",
        place: Place::Own {
            show: |request| shown(&request.per_topic),
            read: |request, text| request.per_topic = read(text),
        },
    },
    Number {
        testid: "learning-rate",
        label: "Learning rate",
        explanation: "at its peak, after a tenth of the updates",
        step: "any",
        place: Place::Own {
            show: |request| shown(&request.learning_rate),
            read: |request, text| request.learning_rate = read(text),
        },
    },
    Number {
        testid: "epochs",
        label: "Passes",
        explanation: "over all instances",
        step: "1",
        place: Place::Own {
            show: |request| shown(&request.epochs),
            read: |request, text| request.epochs = read(text),
        },
    },
    Number {
        testid: "accumulation",
        label: "Batches per update",
        explanation: "whose gradients are added up",
        step: "1",
        place: Place::Own {
            show: |request| shown(&request.accumulation),
            read: |request, text| request.accumulation = read(text),
        },
    },
    Number {
        testid: "seed",
        label: "Seed",
        explanation: "the same gives the same run",
        step: "1",
        place: Place::Own {
            show: |request| shown(&request.seed),
            read: |request, text| request.seed = read(text),
        },
    },
];

fn drawn(request: &MethodRequest) -> String {
    match request.samples {
        Some(Elicitation::Samples(count)) => count.to_string(),
        _ => String::new(),
    }
}

fn replies(text: &str) -> Elicitation {
    read(text).map_or(Elicitation::Probabilities, Elicitation::Samples)
}

/// The value as text; empty where there is none.
pub fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

/// What can't be read stays out: the form then puts the usual value there.
fn read<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Where the number with this hook stands.
    pub fn place(testid: &str) -> Place {
        let numbers = NUMBERS.into_iter().chain([SAMPLES, SEEDS_PER_TOPIC]);
        let mut all = numbers.chain(PAIR_NUMBERS).chain(FILTER_NUMBERS).chain(TUNING_NUMBERS);
        all.find(|number| number.testid == testid).map(|number| number.place).unwrap()
    }

    #[test]
    fn every_rule_and_every_setting_of_tuning_has_a_field_of_its_name() {
        let request = MethodRequest::default();
        let switches = FILTER_SWITCHES.map(|switch| switch.testid);
        let numbers = FILTER_NUMBERS.map(|number| number.testid);
        let fields: Vec<&str> = switches.into_iter().chain(numbers).collect();
        let mut missing = rules(&request).values().map(|(name, _)| name).to_vec();
        missing.retain(|name| !fields.contains(name));
        assert_eq!((missing, fields.len()), (vec![], 10));
        let fields = TUNING_NUMBERS.map(|number| number.testid);
        let fields: Vec<&str> = fields.into_iter().chain([SCHEDULE.testid]).collect();
        let mut missing = tuning(&request).values().map(|(name, _)| name).to_vec();
        let others = ["modules"];
        missing.retain(|name| !fields.contains(name) && !others.contains(name));
        missing.retain(|name| !TUNING_SWITCHES.iter().any(|switch| switch.testid == *name));
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn what_is_typed_is_the_option_of_the_command() {
        let mut request = MethodRequest::default();
        for (testid, text, shown) in [
            ("near-duplicates", "0.8", "0.8"),
            ("most-options", "", ""),
            ("fewest-options", "x", "2"),
            ("rank", "16", "16"),
            ("warmup", "0.2", "0.2"),
            ("warmup", "", "0.1"),
            ("cutoff", "none", "4096"),
            ("samples", "3", "3"),
        ] {
            place(testid).read(&mut request, text);
            assert_eq!(place(testid).show(&request), shown, "{testid} {text}");
        }
        toggle_module(&mut request, "down_proj");
        Place::Tuning("checkpointing").read(&mut request, "on");
        Place::Filter("held-out").read(&mut request, "off");
        assert_eq!(
            request.options(),
            "--filter careful,held-out=off,near-duplicates=0.8,most-options=off --samples 3 \
             --tuning rank=16,modules=q_proj+k_proj+v_proj+o_proj+gate_proj+up_proj,checkpointing=on"
        );
        toggle_module(&mut request, "down_proj");
        assert!(has_module(&request, "down_proj"));
        FILTER_SETS.place.read(&mut request, "paper");
        assert_eq!(FILTER_SETS.place.show(&request), "paper");
        assert!(request.options().starts_with("--filter paper --samples 3"));
    }
}
