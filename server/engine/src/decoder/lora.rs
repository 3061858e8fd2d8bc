//! Low-rank adapters (LoRA, Hu et al. 2021) of a decoder's linear layers, with the names that the
//! Hugging Face PEFT library gives them. Files are read and written elsewhere.

use std::collections::{HashMap, HashSet};

use candle_core::{DType, Device, Tensor, Var};
use domain::random::SplitMix64;
use regex::Regex;

use super::{DecoderConfig, DecoderError, Dropout};

/// The linear layers of a decoder layer, by their checkpoint names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Module {
    /// Queries.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Attention's output.
    Output,
    /// The gate of the feed-forward layer.
    Gate,
    /// The values of the feed-forward layer.
    Up,
    /// The output of the feed-forward layer.
    Down,
}

impl Module {
    /// Every module, in checkpoint order.
    pub const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// The module's own name, as in `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The module's path below its layer.
    pub fn path(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Output => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// `(out, in)`: the shape of the base weight.
    pub fn shape(self, config: &DecoderConfig) -> (usize, usize) {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_attention_heads * config.head_width();
        let keys = config.kv_heads() * config.head_width();
        match self {
            Self::Query => (queries, hidden),
            Self::Key | Self::Value => (keys, hidden),
            Self::Output => (hidden, queries),
            Self::Gate | Self::Up => (wide, hidden),
            Self::Down => (hidden, wide),
        }
    }
}

/// An adapter's settings; field names are those of `adapter_config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank of the change.
    pub r: usize,
    /// The change is scaled by `alpha / r`; see `rslora`.
    pub alpha: f64,
    /// Names of the changed linear layers, such as `q_proj`.
    pub target_modules: Vec<String>,
    /// Whether the change is scaled by `alpha / √r` instead (Kalajdzievski, 2023).
    pub rslora: bool,
    /// Ranks of the layers whose path ends as a regular expression says; the first that fits counts.
    pub rank_pattern: Vec<(String, usize)>,
    /// The same for alpha.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Share of its inputs that it didn't see while it was tuned; it answers with all of them.
    pub dropout: f64,
}

impl Default for LoraConfig {
    /// All linear layers with r = 8 and alpha = 16 (CultureSPA, section 4.1).
    fn default() -> Self {
        let target_modules = Module::ALL.iter().map(|module| module.name().to_owned()).collect();
        let (rank_pattern, alpha_pattern) = (Vec::new(), Vec::new());
        Self {
            r: 8,
            alpha: 16.0,
            target_modules,
            rslora: false,
            rank_pattern,
            alpha_pattern,
            dropout: 0.0,
        }
    }
}

impl LoraConfig {
    /// The targeted modules in checkpoint order; refuses names that no layer has.
    pub fn modules(&self) -> Result<Vec<Module>, DecoderError> {
        let wrong = |field, rule: &str, given: String| {
            Err(DecoderError::AdapterConfig { field, rule: rule.to_owned(), given })
        };
        if self.r == 0 {
            return wrong("r", "be above zero", "`0`".to_owned());
        }
        if !self.alpha.is_finite() {
            return wrong("lora_alpha", "be a finite number", format!("`{}`", self.alpha));
        }
        let known = |name: &&String| Module::ALL.iter().all(|module| module.name() != **name);
        if let Some(name) = self.target_modules.iter().find(known) {
            return wrong("target_modules", "name linear layers of a layer", format!("`{name}`"));
        }
        if let Some((pattern, _)) = self.rank_pattern.iter().find(|(_, r)| *r == 0) {
            return wrong("rank_pattern", "give ranks above zero", format!("0 for `{pattern}`"));
        }
        if let Some((pattern, alpha)) = self.alpha_pattern.iter().find(|(_, a)| !a.is_finite()) {
            return wrong(
                "alpha_pattern",
                "give finite numbers",
                format!("{alpha} for `{pattern}`"),
            );
        }
        let targeted = |module: &Module| self.target_modules.iter().any(|n| n == module.name());
        let modules: Vec<_> = Module::ALL.into_iter().filter(targeted).collect();
        if modules.is_empty() {
            return wrong("target_modules", "name at least one layer", "`[]`".to_owned());
        }
        Ok(modules)
    }
}

/// Rank and scale of every linear layer, with the patterns read once.
struct Ranks<'a> {
    config: &'a LoraConfig,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
}

impl<'a> Ranks<'a> {
    fn new(config: &'a LoraConfig) -> Result<Self, DecoderError> {
        let (ranks, alphas) = (&config.rank_pattern, &config.alpha_pattern);
        let (ranks, alphas) = (read("rank_pattern", ranks)?, read("alpha_pattern", alphas)?);
        Ok(Self { config, ranks, alphas })
    }

    /// Rank, and what the change is multiplied by.
    fn of(&self, layer: usize, module: Module) -> (usize, f64) {
        let path = format!("model.layers.{layer}.{}", module.path());
        let r = first_fit(&self.ranks, &path).unwrap_or(self.config.r);
        let alpha = first_fit(&self.alphas, &path).unwrap_or(self.config.alpha);
        let divisor = if self.config.rslora { (r as f64).sqrt() } else { r as f64 };
        (r, alpha / divisor)
    }
}

fn first_fit<T: Copy>(patterns: &[(Regex, T)], path: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, value)| *value)
}

/// A pattern fits the whole path, or its end after a dot, as in PEFT.
fn read<T: Copy>(
    field: &'static str,
    patterns: &[(String, T)],
) -> Result<Vec<(Regex, T)>, DecoderError> {
    let read = |(pattern, value): &(String, T)| {
        let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"));
        let regex = regex.map_err(|_| DecoderError::AdapterConfig {
            field,
            rule: "hold regular expressions".to_owned(),
            given: format!("`{pattern}`"),
        })?;
        Ok((regex, *value))
    };
    patterns.iter().map(read).collect()
}

/// The two factors of one linear layer's change.
#[derive(Debug, Clone)]
pub struct LoraPair {
    /// `[r, in]`.
    pub a: Tensor,
    /// `[out, r]`.
    pub b: Tensor,
    /// What the change is multiplied by.
    pub scale: f64,
}

/// A low-rank change of every targeted linear layer. The tensors may be `Var`s, which then train.
#[derive(Debug, Clone)]
pub struct LoraAdapter {
    /// The adapter's settings.
    pub config: LoraConfig,
    pub(super) layers: Vec<HashMap<Module, LoraPair>>,
    /// What it doesn't see in the pass at hand; `None` outside of tuning.
    pub(super) dropout: Option<Dropout>,
}

impl LoraAdapter {
    /// Takes an adapter out of named tensors; refuses missing, surplus and wrongly shaped ones.
    /// Tensors are used as they are: bring them to the model's device and data type before.
    pub fn from_tensors(
        base: &DecoderConfig,
        config: LoraConfig,
        tensors: &HashMap<String, Tensor>,
    ) -> Result<Self, DecoderError> {
        let mut used = HashSet::new();
        let adapter = Self::build(base, config, |name, shape| {
            let tensor = tensors.get(&name).ok_or_else(|| DecoderError::Adapter {
                name: name.clone(),
                rule: "is missing".to_owned(),
            })?;
            if tensor.dims() != shape {
                let (expected, found) = (shape.to_vec(), tensor.dims().to_vec());
                return Err(DecoderError::Shape { name, expected, found });
            }
            used.insert(name);
            Ok(tensor.clone())
        })?;
        let mut surplus: Vec<_> = tensors.keys().filter(|name| !used.contains(*name)).collect();
        surplus.sort();
        match surplus.first() {
            Some(name) => Err(DecoderError::Adapter {
                name: (*name).clone(),
                rule: "changes no layer that this model and `target_modules` have".to_owned(),
            }),
            None => Ok(adapter),
        }
    }

    /// A new adapter to train, made of `Var`s: A is uniform in ±1/√in (Kaiming with a = √5), B is
    /// zero, so the adapter changes nothing yet. The same seed gives the same bits.
    pub fn init(
        base: &DecoderConfig,
        config: LoraConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self, DecoderError> {
        let mut random = SplitMix64::new(seed);
        Self::build(base, config, |name, [rows, columns]| {
            let bound =
                if name.ends_with(".lora_A.weight") { (columns as f64).powf(-0.5) } else { 0.0 };
            let draw = |_| ((2.0 * random.unit() - 1.0) * bound) as f32;
            let values: Vec<f32> = (0..rows * columns).map(draw).collect();
            let tensor = Tensor::from_vec(values, (rows, columns), device)?;
            Ok(Var::from_tensor(&tensor)?.into_inner())
        })
    }

    fn build(
        base: &DecoderConfig,
        config: LoraConfig,
        mut tensor: impl FnMut(String, [usize; 2]) -> Result<Tensor, DecoderError>,
    ) -> Result<Self, DecoderError> {
        let modules = config.modules()?;
        let ranks = Ranks::new(&config)?;
        let mut layers = Vec::with_capacity(base.num_hidden_layers);
        for layer in 0..base.num_hidden_layers {
            let mut pairs = HashMap::new();
            for &module in &modules {
                let (rows, columns) = module.shape(base);
                let (r, scale) = ranks.of(layer, module);
                let a = tensor(parameter_name(layer, module, 'A'), [r, columns])?;
                let b = tensor(parameter_name(layer, module, 'B'), [rows, r])?;
                pairs.insert(module, LoraPair { a, b, scale });
            }
            layers.push(pairs);
        }
        Ok(Self { config, layers, dropout: None })
    }

    /// The same adapter, made of the same tensors, that doesn't see all of its inputs.
    pub fn with_dropout(&self, dropout: Dropout) -> Self {
        Self { dropout: Some(dropout), ..self.clone() }
    }

    /// The change of one linear layer; `None` where the adapter leaves it alone.
    pub fn pair(&self, layer: usize, module: Module) -> Option<&LoraPair> {
        self.layers.get(layer)?.get(&module)
    }

    /// Every tensor with its PEFT name, in checkpoint order.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut parameters = Vec::new();
        for (layer, pairs) in self.layers.iter().enumerate() {
            for module in Module::ALL {
                if let Some(pair) = pairs.get(&module) {
                    parameters.push((parameter_name(layer, module, 'A'), pair.a.clone()));
                    parameters.push((parameter_name(layer, module, 'B'), pair.b.clone()));
                }
            }
        }
        parameters
    }

    /// Whether it gets gradients.
    pub fn is_tuned(&self) -> bool {
        let tuned = |pair: &LoraPair| pair.a.track_op() || pair.b.track_op();
        self.layers.iter().flat_map(HashMap::values).any(tuned)
    }

    /// Number of trained values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, tensor)| tensor.elem_count()).sum()
    }

    /// Bytes of all matrices.
    pub fn bytes(&self) -> usize {
        let size = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        self.parameters().iter().map(|(_, tensor)| size(tensor)).sum()
    }

    /// A frozen copy for serving: no gradients, contiguous, on `device`.
    pub fn to_frozen(&self, device: &Device, dtype: DType) -> Result<Self, DecoderError> {
        let freeze = |tensor: &Tensor| -> Result<Tensor, DecoderError> {
            Ok(tensor.detach().copy()?.to_device(device)?.to_dtype(dtype)?.contiguous()?)
        };
        let mut layers = Vec::with_capacity(self.layers.len());
        for pairs in &self.layers {
            let mut frozen = HashMap::new();
            for (&module, pair) in pairs {
                let (a, b) = (freeze(&pair.a)?, freeze(&pair.b)?);
                frozen.insert(module, LoraPair { a, b, scale: pair.scale });
            }
            layers.push(frozen);
        }
        Ok(Self { config: self.config.clone(), layers, dropout: None })
    }
}

/// The name that PEFT gives to factor `A` or `B` of a module.
fn parameter_name(layer: usize, module: Module, factor: char) -> String {
    format!("base_model.model.model.layers.{layer}.{}.lora_{factor}.weight", module.path())
}
