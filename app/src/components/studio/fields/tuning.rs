//! Settings of tuning beyond those of every run, as fields.

use domain::method::{MODULES, MethodRequest};

use super::{Choice, Number, Place, Switch, tuning};

/// Numbers of tuning.
pub const TUNING_NUMBERS: [Number; 11] = [
    Number {
        testid: "rank",
        label: "Rank",
        explanation: "how much an adapter can change",
        step: "1",
        place: Place::Tuning("rank"),
    },
    Number {
        testid: "alpha",
        label: "Alpha",
        explanation: "scales its change by alpha / rank",
        step: "any",
        place: Place::Tuning("alpha"),
    },
    Number {
        testid: "batch",
        label: "Examples per batch",
        explanation: "that are computed together",
        step: "1",
        place: Place::Tuning("batch"),
    },
    Number {
        testid: "warmup",
        label: "Warm-up",
        explanation: "share of the updates in which the rate rises",
        step: "any",
        place: Place::Tuning("warmup"),
    },
    Number {
        testid: "cutoff",
        label: "Cut-off",
        explanation: "longest example in tokens",
        step: "1",
        place: Place::Tuning("cutoff"),
    },
    Number {
        testid: "max-norm",
        label: "Largest norm",
        explanation: "longer gradients are scaled down to it",
        step: "any",
        place: Place::Tuning("max-norm"),
    },
    Number {
        testid: "weight-decay",
        label: "Weight decay",
        explanation: "pulls weights towards 0",
        step: "any",
        place: Place::Tuning("weight-decay"),
    },
    Number {
        testid: "beta1",
        label: "Beta 1",
        explanation: "AdamW’s decay of the mean gradient",
        step: "any",
        place: Place::Tuning("beta1"),
    },
    Number {
        testid: "beta2",
        label: "Beta 2",
        explanation: "AdamW’s decay of its square",
        step: "any",
        place: Place::Tuning("beta2"),
    },
    Number {
        testid: "epsilon",
        label: "Epsilon",
        explanation: "keeps AdamW’s division finite",
        step: "any",
        place: Place::Tuning("epsilon"),
    },
    Number {
        testid: "dropout",
        label: "Dropout",
        explanation: "share of its inputs that an adapter doesn’t see in an update",
        step: "any",
        place: Place::Tuning("dropout"),
    },
];

/// How the learning rate goes after its warm-up.
pub const SCHEDULE: Choice = Choice {
    testid: "schedule",
    label: "Schedule",
    explanation: "how the learning rate goes after its warm-up",
    options: &[
        ("cosine", "down along half a cosine"),
        ("linear", "down along a line"),
        ("constant", "it stays"),
    ],
    place: Place::Tuning("schedule"),
};

/// Switches of tuning.
pub const TUNING_SWITCHES: [Switch; 1] = [Switch {
    testid: "checkpointing",
    label: "Gradient checkpointing",
    explanation: "less memory, more time, the same adapter",
    place: Place::Tuning("checkpointing"),
}];

/// Whether the adapters change this kind of layer.
pub fn has_module(request: &MethodRequest, module: &str) -> bool {
    tuning(request).modules.iter().any(|chosen| chosen == module)
}

/// Takes a kind of layer out or in, in the order of [`MODULES`].
pub fn toggle_module(request: &mut MethodRequest, module: &str) {
    let mut changed = tuning(request);
    let chosen = |other: &&str| match *other == module {
        true => !has_module(request, module),
        false => has_module(request, other),
    };
    changed.modules = MODULES.iter().filter(|m| chosen(m)).map(|m| (*m).to_owned()).collect();
    request.tuning = Some(changed);
}
