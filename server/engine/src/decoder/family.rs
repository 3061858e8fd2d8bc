//! What the supported families of decoders do differently from Llama: one row each.
//!
//! Here is what follows from the family's name. What a checkpoint decides for itself is in its
//! [`super::config`]; both meet there.

use super::text_model::GEMMA3_WITH_EYES;

/// Which layers of an attention block have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Biases {
    /// All four or none, as `attention_bias` says.
    AsConfigured,
    /// Queries, keys and values have, the output hasn't.
    Inputs,
    /// None.
    Never,
}

/// Which layers see only the last `sliding_window` tokens where `layer_types` doesn't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// None.
    Never,
    /// All, if the window is given.
    All,
    /// Those from `max_window_layers` on, if `use_sliding_window` is set.
    FromLayer,
    /// Those without rotary embedding, if `use_sliding_window` is set.
    WithoutRope,
    /// All but every n-th; n is `sliding_window_pattern` or this.
    AllButEvery(usize),
}

/// A family of decoders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Name in `architectures`.
    pub architecture: &'static str,
    /// Name in `model_type`.
    pub model_type: &'static str,
    /// Width of a head where `head_dim` is absent; `None` divides the width of the residual stream.
    pub head_width: Option<usize>,
    /// Base of the rotary frequencies where `rope_theta` is absent.
    pub theta: f64,
    /// Base for layers with a window; `None` if they turn like the others.
    pub window_theta: Option<f64>,
    /// Whether the output layer is the embedding where `tie_word_embeddings` is absent.
    pub tied: bool,
    /// Biases of the attention block.
    pub biases: Biases,
    /// Activation of the feed-forward layer where `config.json` names none.
    pub activation: &'static str,
    /// Whether every query and key head has a norm before it is turned.
    pub head_norms: bool,
    /// Whether norms multiply by one more than their weight.
    pub norm_offset: bool,
    /// Whether the outputs of attention and feed-forward layer have norms too, before they are added.
    pub output_norms: bool,
    /// Whether the embedding is scaled by the root of its width.
    pub embedding_scaled: bool,
    /// Which layers have a window.
    pub windows: Windows,
    /// Width of the window where `sliding_window` is absent; null means none in every family.
    pub window: Option<usize>,
    /// Whether `no_rope_layers` may leave layers without rotary embedding; every fourth where absent.
    pub layers_without_rope: bool,
}

const LLAMA: Family = Family {
    architecture: "LlamaForCausalLM",
    model_type: "llama",
    head_width: None,
    theta: 10_000.0,
    window_theta: None,
    tied: false,
    biases: Biases::AsConfigured,
    activation: "silu",
    head_norms: false,
    norm_offset: false,
    output_norms: false,
    embedding_scaled: false,
    windows: Windows::Never,
    window: None,
    layers_without_rope: false,
};

const GEMMA2: Family = Family {
    architecture: "Gemma2ForCausalLM",
    model_type: "gemma2",
    head_width: Some(256),
    tied: true,
    activation: "gelu_pytorch_tanh",
    norm_offset: true,
    output_norms: true,
    embedding_scaled: true,
    windows: Windows::AllButEvery(2),
    window: Some(4096),
    ..LLAMA
};

/// All families, the first one being the pattern of the others.
pub const FAMILIES: [Family; 7] = [
    LLAMA,
    Family {
        architecture: "MistralForCausalLM",
        model_type: "mistral",
        biases: Biases::Never,
        windows: Windows::All,
        window: Some(4096),
        ..LLAMA
    },
    Family {
        architecture: "Qwen2ForCausalLM",
        model_type: "qwen2",
        biases: Biases::Inputs,
        windows: Windows::FromLayer,
        window: Some(4096),
        ..LLAMA
    },
    Family {
        architecture: "Qwen3ForCausalLM",
        model_type: "qwen3",
        head_width: Some(128),
        head_norms: true,
        windows: Windows::FromLayer,
        window: Some(4096),
        ..LLAMA
    },
    Family {
        architecture: "SmolLM3ForCausalLM",
        model_type: "smollm3",
        theta: 2_000_000.0,
        tied: true,
        windows: Windows::WithoutRope,
        layers_without_rope: true,
        ..LLAMA
    },
    GEMMA2,
    Family {
        architecture: "Gemma3ForCausalLM",
        model_type: "gemma3_text",
        theta: 1_000_000.0,
        window_theta: Some(10_000.0),
        head_norms: true,
        windows: Windows::AllButEvery(6),
        ..GEMMA2
    },
];

/// Names of all architectures, for messages.
pub fn supported() -> String {
    let names = FAMILIES.map(|family| family.architecture).join(", ");
    format!("{names}, {GEMMA3_WITH_EYES} (its text model)")
}
