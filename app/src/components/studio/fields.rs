//! The settings that are typed or chosen one by one: their names for people, and where they stand in
//! a request. Plain data, no view.

use std::str::FromStr;

use domain::method::MethodRequest;

/// A setting that is typed as a number.
pub struct Number {
    /// Hook for tests, and the setting's name.
    pub testid: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// What it does, in a few words.
    pub explanation: &'static str,
    /// Step of the number field.
    pub step: &'static str,
    /// The value as text; empty where it is the usual one.
    pub show: fn(&MethodRequest) -> String,
    /// Takes a text in; empty for the usual value.
    pub read: fn(&mut MethodRequest, &str),
}

/// A setting that is chosen from a few; the first is the default.
pub struct Choice {
    /// Hook for tests, and the setting's name.
    pub testid: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// What it does, in a few words.
    pub explanation: &'static str,
    /// Values and what people read.
    pub options: &'static [(&'static str, &'static str)],
    /// The value as text; empty where it is the usual one.
    pub show: fn(&MethodRequest) -> String,
    /// Takes a text in; empty for the usual value.
    pub read: fn(&mut MethodRequest, &str),
}

/// The choices of the paper's variants.
pub const CHOICES: [Choice; 3] = [
    Choice {
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
        show: |request| shown(&request.style),
        read: |request, text| request.style = read(text),
    },
    Choice {
        testid: "rule",
        label: "Kept pairs",
        explanation: "whose two answers count as different",
        options: &[("different", "another option"), ("shift", "beyond the noise")],
        show: |request| shown(&request.rule),
        read: |request, text| request.rule = read(text),
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
        show: |request| shown(&request.source),
        read: |request, text| request.source = read(text),
    },
];

/// Numbers of the paper's variants.
pub const VARIANTS: [Number; 4] = [
    Number {
        testid: "seeds-per-topic",
        label: "Examples per topic",
        explanation: "that new questions are written after; empty: all",
        step: "1",
        show: |request| shown(&request.seeds_per_topic),
        read: |request, text| request.seeds_per_topic = read(text),
    },
    Number {
        testid: "samples",
        label: "Replies per question",
        explanation: "empty: probabilities are read",
        step: "1",
        show: |request| shown(&request.samples),
        read: |request, text| request.samples = read(text),
    },
    Number {
        testid: "share",
        label: "Share that is learnt",
        explanation: "1 is all of them",
        step: "any",
        show: |request| shown(&request.share),
        read: |request, text| request.share = read(text),
    },
    Number {
        testid: "general",
        label: "General conversations",
        explanation: "per instance; 0 is none",
        step: "any",
        show: |request| shown(&request.general),
        read: |request, text| request.general = read(text),
    },
];

/// The numbers of every run.
pub const NUMBERS: [Number; 5] = [
    Number {
        testid: "per-topic",
        label: "Questions per topic",
        explanation: "how many the model is asked to write",
        step: "1",
        show: |request| shown(&request.per_topic),
        read: |request, text| request.per_topic = read(text),
    },
    Number {
        testid: "learning-rate",
        label: "Learning rate",
        explanation: "at its peak, after a tenth of the updates",
        step: "any",
        show: |request| shown(&request.learning_rate),
        read: |request, text| request.learning_rate = read(text),
    },
    Number {
        testid: "epochs",
        label: "Passes",
        explanation: "over all instances",
        step: "1",
        show: |request| shown(&request.epochs),
        read: |request, text| request.epochs = read(text),
    },
    Number {
        testid: "accumulation",
        label: "Batches per update",
        explanation: "of 4 examples each",
        step: "1",
        show: |request| shown(&request.accumulation),
        read: |request, text| request.accumulation = read(text),
    },
    Number {
        testid: "seed",
        label: "Seed",
        explanation: "the same gives the same run",
        step: "1",
        show: |request| shown(&request.seed),
        read: |request, text| request.seed = read(text),
    },
];

/// The value as text; empty where there is none.
pub fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

/// What can't be read stays out: the server then takes its default, and the summary says so.
fn read<T: FromStr>(text: &str) -> Option<T> {
    text.trim().parse().ok()
}
