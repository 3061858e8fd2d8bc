//! Settings of step 4 beyond its learning rate, passes and updates. As text: the settings that differ from
//! the paper's, as in `rank=16,alpha=32,modules=q_proj+v_proj`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BadSetting;

/// Linear layers that an adapter can change, by the names that checkpoints give them.
pub const MODULES: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// How the learning rate goes after its warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Down to zero along half a cosine.
    #[default]
    Cosine,
    /// Down to zero along a line.
    Linear,
    /// It stays.
    Constant,
}

impl Schedule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cosine, Self::Linear, Self::Constant];

    /// Name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Linear => "linear",
            Self::Constant => "constant",
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|schedule| schedule.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join("`, `");
            format!("`{text}` is no schedule\nUse one of `{known}`.")
        })
    }
}

/// How adapters are tuned. The default is the paper's (section 4.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Rank of an adapter.
    pub rank: usize,
    /// Its change is scaled by `alpha / rank`.
    pub alpha: f64,
    /// The linear layers that it changes, some of [`MODULES`].
    pub modules: Vec<String>,
    /// Examples per micro-batch.
    pub batch: usize,
    /// Share of the updates in which the learning rate rises.
    pub warmup: f64,
    /// Longest example in tokens.
    pub cutoff: usize,
    /// Gradients with a larger norm are scaled down to it.
    pub max_norm: f64,
    /// How the learning rate goes after its warm-up.
    pub schedule: Schedule,
    /// Decoupled weight decay of AdamW. The paper names none, and its tools default to none.
    pub weight_decay: f64,
    /// Decay of AdamW's first moment.
    pub beta1: f64,
    /// Decay of AdamW's second moment.
    pub beta2: f64,
    /// Keeps AdamW's division finite.
    pub epsilon: f64,
    /// Share of its inputs that an adapter doesn't see while it is tuned, drawn anew in every update.
    pub dropout: f64,
    /// Computes every layer twice instead of keeping what lies inside it: less memory, the same adapter.
    pub checkpointing: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            modules: MODULES.map(str::to_owned).into(),
            batch: 4,
            warmup: 0.1,
            cutoff: 4096,
            max_norm: 1.0,
            schedule: Schedule::Cosine,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            dropout: 0.0,
            checkpointing: false,
        }
    }
}

impl Tuning {
    /// Whether every value is in its range.
    ///
    /// # Errors
    /// The first setting that breaks its rule.
    pub fn check(&self) -> Result<(), BadSetting> {
        let wrong = |name: &str, rule: &str, given: String, hint: &str| {
            let rule = format!("`tuning` must have {name} {rule}, not {given}");
            Err(BadSetting { setting: "tuning", rule, hint: hint.to_owned() })
        };
        for (name, value, most) in [
            ("rank", self.rank, 1024),
            ("batch", self.batch, 1024),
            ("cutoff", self.cutoff, 1 << 20),
        ] {
            if value == 0 || value > most {
                let hint = "The paper has rank 8, batch 4 and cutoff 4096.";
                return wrong(name, &format!("1 to {most}"), value.to_string(), hint);
            }
        }
        for (name, value) in [("alpha", self.alpha), ("max_norm", self.max_norm)] {
            if !(value > 0.0 && value.is_finite()) {
                let hint = "The paper has alpha 16; gradients are clipped at 1.";
                return wrong(name, "above 0", value.to_string(), hint);
            }
        }
        if !(0.0..=1.0).contains(&self.warmup) {
            return wrong("warmup", "0 to 1", self.warmup.to_string(), "The paper has 0.1.");
        }
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                let hint = "Usual are beta1 0.9 and beta2 0.999.";
                return wrong(name, "0 or more and below 1", value.to_string(), hint);
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon <= 1.0) {
            let hint = "Usual is 1e-8.";
            return wrong("epsilon", "above 0 and at most 1", self.epsilon.to_string(), hint);
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let hint = "The paper has 0; 0.05 and 0.1 are usual elsewhere.";
            return wrong("dropout", "0 or more and below 1", self.dropout.to_string(), hint);
        }
        if !(0.0..=1.0).contains(&self.weight_decay) {
            let hint = "Usual are 0 and 0.01.";
            return wrong("weight_decay", "0 to 1", self.weight_decay.to_string(), hint);
        }
        let known = MODULES.join(", ");
        let unknown = self.modules.iter().find(|name| !MODULES.contains(&name.as_str()));
        if let Some(name) = unknown {
            let hint = "These are the linear layers of every supported model.";
            return wrong("modules", &format!("among {known}"), format!("`{name}`"), hint);
        }
        match self.modules.is_empty() {
            true => {
                wrong("modules", "not empty", "none".to_owned(), &format!("Name some of {known}."))
            }
            false => Ok(()),
        }
    }

    /// Every setting with its value as text.
    pub fn values(&self) -> [(&'static str, String); 14] {
        [
            ("rank", self.rank.to_string()),
            ("alpha", self.alpha.to_string()),
            ("modules", self.modules.join("+")),
            ("batch", self.batch.to_string()),
            ("warmup", self.warmup.to_string()),
            ("cutoff", self.cutoff.to_string()),
            ("max-norm", self.max_norm.to_string()),
            ("schedule", self.schedule.as_str().to_owned()),
            ("weight-decay", self.weight_decay.to_string()),
            ("beta1", self.beta1.to_string()),
            ("beta2", self.beta2.to_string()),
            ("epsilon", self.epsilon.to_string()),
            ("dropout", self.dropout.to_string()),
            ("checkpointing", if self.checkpointing { "on" } else { "off" }.to_owned()),
        ]
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        fn read<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
            value.parse().map_err(|_| format!("`{name}` of tuning can't be `{value}`"))
        }
        match name {
            "rank" => self.rank = read(name, value)?,
            "alpha" => self.alpha = read(name, value)?,
            "modules" => self.modules = value.split('+').map(str::to_owned).collect(),
            "batch" => self.batch = read(name, value)?,
            "warmup" => self.warmup = read(name, value)?,
            "cutoff" => self.cutoff = read(name, value)?,
            "max-norm" => self.max_norm = read(name, value)?,
            "schedule" => self.schedule = value.parse()?,
            "weight-decay" => self.weight_decay = read(name, value)?,
            "beta1" => self.beta1 = read(name, value)?,
            "beta2" => self.beta2 = read(name, value)?,
            "epsilon" => self.epsilon = read(name, value)?,
            "dropout" => self.dropout = read(name, value)?,
            "checkpointing" => match value {
                "on" => self.checkpointing = true,
                "off" => self.checkpointing = false,
                other => {
                    return Err(format!("`checkpointing` must be `on` or `off`, not `{other}`"));
                }
            },
            other => {
                let known = self.values().map(|(name, _)| name).join(", ");
                return Err(format!("`{other}` is no setting of tuning\nThere are: {known}."));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Tuning {
    /// What differs from the paper's, `paper` for nothing; [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (own, paper) = (self.values(), Self::default().values());
        let different = own.iter().zip(&paper).filter(|(own, paper)| own != paper);
        let text: Vec<String> =
            different.map(|((name, value), _)| format!("{name}={value}")).collect();
        f.pad(if text.is_empty() { "paper".to_owned() } else { text.join(",") }.as_str())
    }
}

impl FromStr for Tuning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut tuning = Self::default();
        for setting in text.split(',').filter(|setting| *setting != "paper") {
            let (name, value) = setting.split_once('=').ok_or_else(|| {
                format!("`{setting}` is no setting of tuning\nWrite it as in `rank=16,alpha=32`.")
            })?;
            tuning.set(name.trim(), value.trim())?;
        }
        Ok(tuning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_written_and_read_back() {
        assert_eq!(Tuning::default().to_string(), "paper");
        for text in [
            "paper",
            "rank=16,alpha=32",
            "modules=q_proj+v_proj,checkpointing=on",
            "warmup=0",
            "schedule=linear,weight-decay=0.01,beta2=0.95",
            "epsilon=0.000001,dropout=0.05",
        ] {
            let tuning: Tuning = text.parse().unwrap();
            assert_eq!((tuning.to_string().as_str(), tuning.check()), (text, Ok(())));
        }
        for (text, part) in [
            ("rank", "Write it as"),
            ("rank=x", "can't be `x`"),
            ("size=3", "There are: rank"),
            ("schedule=step", "`cosine`, `linear`"),
            ("checkpointing=yes", "`on` or `off`"),
        ] {
            assert!(text.parse::<Tuning>().unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (text, part) in [
            ("rank=0", "rank 1 to 1024, not 0"),
            ("alpha=-1", "alpha above 0, not -1"),
            ("max-norm=inf", "max_norm above 0"),
            ("warmup=1.5", "warmup 0 to 1, not 1.5"),
            ("beta1=1", "beta1 0 or more and below 1, not 1"),
            ("epsilon=0", "epsilon above 0 and at most 1, not 0"),
            ("dropout=1", "dropout 0 or more and below 1, not 1"),
            ("weight-decay=-1", "weight_decay 0 to 1, not -1"),
            ("modules=lm_head", "not `lm_head`"),
        ] {
            let error = text.parse::<Tuning>().unwrap().check().unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
