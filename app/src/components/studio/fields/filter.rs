//! The rules by which generated questions are kept, as fields.

use super::{Choice, Number, Place, Switch};

/// Two sets of rules to begin with.
pub const FILTER_SETS: Choice = Choice {
    testid: "filter",
    label: "Set of rules",
    explanation: "sets all of these at once",
    options: &[("careful", "careful: every rule"), ("paper", "paper: its own four")],
    place: Place::Own {
        show: |request| {
            // The set that differs least stands before the first comma.
            let text = request.filter.clone().unwrap_or_default().to_string();
            text.split(',').next().unwrap_or_default().to_owned()
        },
        read: |request, text| request.filter = text.parse().ok(),
    },
};

/// Rules with a limit; without one they are off.
pub const FILTER_NUMBERS: [Number; 3] = [
    Number {
        testid: "near-duplicates",
        label: "Near duplicates",
        explanation: "drops what shares this part of its words; empty: off",
        step: "any",
        place: Place::Filter("near-duplicates"),
    },
    Number {
        testid: "fewest-options",
        label: "Fewest options",
        explanation: "drops questions with fewer; empty: off",
        step: "1",
        place: Place::Filter("fewest-options"),
    },
    Number {
        testid: "most-options",
        label: "Most options",
        explanation: "drops questions with more; empty: off",
        step: "1",
        place: Place::Filter("most-options"),
    },
];

/// Rules that are on or off.
pub const FILTER_SWITCHES: [Switch; 7] = [
    Switch {
        testid: "held-out",
        label: "Held-out questions",
        explanation: "drops what asks one",
        place: Place::Filter("held-out"),
    },
    Switch {
        testid: "duplicates",
        label: "Duplicates",
        explanation: "drops the text of an earlier question",
        place: Place::Filter("duplicates"),
    },
    Switch {
        testid: "numbers-only",
        label: "Only numbers",
        explanation: "drops bare numbers that no text explains",
        place: Place::Filter("numbers-only"),
    },
    Switch {
        testid: "numbered-options",
        label: "Numbered options",
        explanation: "takes “1.” away from “1. Agree”",
        place: Place::Filter("numbered-options"),
    },
    Switch {
        testid: "mixed-labels",
        label: "Mixed labels",
        explanation: "moves the labels of a scale’s ends into the text",
        place: Place::Filter("mixed-labels"),
    },
    Switch {
        testid: "repeated-options",
        label: "Repeated options",
        explanation: "drops lists with a text twice",
        place: Place::Filter("repeated-options"),
    },
    Switch {
        testid: "other-language",
        label: "Other language",
        explanation: "drops what isn’t in the survey’s",
        place: Place::Filter("other-language"),
    },
];
