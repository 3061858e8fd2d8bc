//! Keys and values of the tokens that a sequence has seen, for all layers.

use candle_core::{DType, Device, Result, Tensor};

use super::{DecoderConfig, DecoderError};
use crate::engine::ops::{
    AttentionPlan, HostKeys, LayerRule,
    attention::attention_cached,
    composite::{self, DeviceKeys},
};

/// One sequence's memory. A cache belongs to the decoder, and to the adapter, that filled it.
#[derive(Debug)]
pub struct KvCache {
    layers: Layers,
    /// Values per token and layer, of keys and of values each.
    width: usize,
    len: usize,
}

#[derive(Debug)]
enum Layers {
    /// f32 in host memory, for the fused kernels.
    Host(Vec<HostKeys>),
    /// Tensors of any other kind.
    Device(Vec<DeviceKeys>),
}

impl KvCache {
    /// An empty cache; memory is taken as tokens come.
    pub fn new(config: &DecoderConfig, dtype: DType, device: &Device) -> Self {
        let count = config.num_hidden_layers;
        let layers = match device.is_cpu() && dtype == DType::F32 {
            true => Layers::Host(vec![HostKeys::default(); count]),
            false => Layers::Device(vec![DeviceKeys::default(); count]),
        };
        Self { layers, width: config.kv_heads() * config.head_width(), len: 0 }
    }

    /// Number of tokens seen, which is the position of the next one.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token has been seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        match &mut self.layers {
            Layers::Host(layers) => layers.iter_mut().for_each(|layer| {
                layer.keys.truncate(self.len * self.width);
                layer.values.truncate(self.len * self.width);
            }),
            Layers::Device(layers) => layers.iter_mut().for_each(|layer| layer.truncate(self.len)),
        }
    }

    /// A second sequence that shares this one's past, as for several replies to one prompt.
    pub fn fork(&self) -> std::result::Result<Self, DecoderError> {
        let layers = match &self.layers {
            Layers::Host(layers) => Layers::Host(layers.clone()),
            Layers::Device(layers) => {
                Layers::Device(layers.iter().map(DeviceKeys::fork).collect::<Result<_>>()?)
            }
        };
        Ok(Self { layers, width: self.width, len: self.len })
    }

    /// Counts tokens that every layer has taken in.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}

/// Attention of layer `index` with every segment's cache, which takes the new keys and values in.
pub(super) fn attend(
    qkv: &Tensor,
    plan: &AttentionPlan,
    (index, rule): (usize, LayerRule),
    caches: &mut [&mut KvCache],
) -> Result<Tensor> {
    let (mut host, mut device) = (Vec::new(), Vec::new());
    for cache in caches.iter_mut() {
        match &mut cache.layers {
            Layers::Host(layers) => host.push(&mut layers[index]),
            Layers::Device(layers) => device.push(&mut layers[index]),
        }
    }
    match device.is_empty() {
        true => attention_cached(qkv, plan, rule, &mut host),
        false => composite::attention(qkv, plan, rule, Some(&mut device)),
    }
}
