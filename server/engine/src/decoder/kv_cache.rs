//! Keys and values of the tokens that a sequence has seen, for all layers.
//!
//! Several sequences may go on from where one ends within a single pass ([`KvCache::branch`]): they
//! share its keys instead of copying them, and leave nothing behind.

use candle_core::{DType, Device, Result, Tensor};

use super::{DecoderConfig, DecoderError};
use crate::ops::{
    AttentionPlan, HostKeys, LayerRule,
    attention::{Angles, attention_cached},
    composite::{self, DeviceKeys},
};

/// One sequence's memory. A cache belongs to the decoder, and to the adapter, that filled it.
#[derive(Debug)]
pub struct KvCache {
    layers: Layers,
    /// Values per token and layer, of keys and of values each.
    width: usize,
    /// Bytes per value.
    value_bytes: usize,
    len: usize,
}

#[derive(Debug)]
enum Layers {
    /// f32 in host memory, for the fused kernels.
    Host(Vec<HostKeys>),
    /// Tensors of any other kind.
    Device(Vec<DeviceKeys>),
    /// Those of this segment of the same batch.
    Shared(usize),
}

impl KvCache {
    /// An empty cache; memory is taken as tokens come.
    pub fn new(config: &DecoderConfig, dtype: DType, device: &Device) -> Self {
        let count = config.num_hidden_layers;
        let layers = match device.is_cpu() && dtype == DType::F32 {
            true => Layers::Host(vec![HostKeys::default(); count]),
            false => Layers::Device(vec![DeviceKeys::default(); count]),
        };
        let width = config.kv_heads() * config.head_width();
        Self { layers, width, value_bytes: dtype.size_in_bytes(), len: 0 }
    }

    /// Number of tokens seen, which is the position of the next one.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token has been seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory taken.
    pub fn bytes(&self) -> usize {
        match &self.layers {
            Layers::Host(layers) => {
                let values = |layer: &HostKeys| layer.keys.capacity() + layer.values.capacity();
                layers.iter().map(values).sum::<usize>() * self.value_bytes
            }
            Layers::Device(layers) => {
                let tokens: usize = layers.iter().map(DeviceKeys::capacity).sum();
                2 * tokens * self.width * self.value_bytes
            }
            Layers::Shared(_) => 0,
        }
    }

    /// Bytes that a token takes in all layers.
    pub fn bytes_per_token(&self) -> usize {
        let layers = match &self.layers {
            Layers::Host(layers) => layers.len(),
            Layers::Device(layers) => layers.len(),
            Layers::Shared(_) => 0,
        };
        2 * layers * self.width * self.value_bytes
    }

    /// Gives memory back that was taken for tokens to come; on a device it stays.
    pub fn shrink(&mut self) {
        if let Layers::Host(layers) = &mut self.layers {
            for layer in layers {
                layer.keys.shrink_to_fit();
                layer.values.shrink_to_fit();
            }
        }
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        match &mut self.layers {
            Layers::Host(layers) => {
                layers.iter_mut().for_each(|layer| cut(layer, self.len * self.width));
            }
            Layers::Device(layers) => layers.iter_mut().for_each(|layer| layer.truncate(self.len)),
            Layers::Shared(_) => {}
        }
    }

    /// A second sequence that shares this one's past, as for several replies to one prompt.
    pub fn fork(&self) -> std::result::Result<Self, DecoderError> {
        self.fork_start(self.len)
    }

    /// A second sequence that shares the first `len` tokens of this one's past. Every layer keeps
    /// all of its keys, so a layer with a sliding window finds what it needs there too.
    pub fn fork_start(&self, len: usize) -> std::result::Result<Self, DecoderError> {
        let len = len.min(self.len);
        let layers = match &self.layers {
            Layers::Host(layers) => {
                let values = len * self.width;
                let copy = |layer: &HostKeys| HostKeys {
                    keys: layer.keys[..values].to_vec(),
                    values: layer.values[..values].to_vec(),
                };
                Layers::Host(layers.iter().map(copy).collect())
            }
            Layers::Device(layers) => {
                let copy = |layer: &DeviceKeys| {
                    let mut start = layer.clone();
                    start.truncate(len);
                    start.fork()
                };
                Layers::Device(layers.iter().map(copy).collect::<Result<_>>()?)
            }
            Layers::Shared(segment) => Layers::Shared(*segment),
        };
        Ok(Self { layers, len, ..*self })
    }

    /// A sequence that goes on, within one pass only, from where this one will be after `tokens`
    /// more tokens, which are segment `segment` of the same batch.
    pub fn branch(&self, segment: usize, tokens: usize) -> Self {
        Self { layers: Layers::Shared(segment), len: self.len + tokens, ..*self }
    }

    /// Counts tokens that every layer has taken in.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}

fn cut(layer: &mut HostKeys, values: usize) {
    layer.keys.truncate(values);
    layer.values.truncate(values);
}

/// Attention of layer `index` with every segment's cache, which takes the new keys and values in.
pub(super) fn attend(
    qkv: &Tensor,
    plan: &AttentionPlan,
    layer: (usize, LayerRule),
    caches: &mut [&mut KvCache],
) -> Result<Tensor> {
    let turns = turns(caches);
    if turns.len() == 1 {
        return attend_once(qkv, plan, layer, caches.iter_mut().map(|cache| &mut **cache));
    }
    let ends: Vec<usize> =
        caches.iter().zip(&plan.spans).map(|(cache, span)| cache.len + span.len()).collect();
    let mut outputs = Vec::with_capacity(turns.len());
    let mut order = Vec::with_capacity(plan.spans.len());
    for (number, turn) in turns.iter().enumerate() {
        let rows: Vec<u32> = turn
            .iter()
            .flat_map(|(_, segment)| plan.spans[*segment].clone())
            .map(|row| row as u32)
            .collect();
        let qkv = qkv.index_select(&Tensor::new(rows.as_slice(), qkv.device())?, 0)?;
        order.extend(rows);
        let mut owners = turn.iter().map(|(owner, _)| *owner).peekable();
        let used = caches
            .iter_mut()
            .enumerate()
            .filter_map(|(index, cache)| owners.next_if_eq(&index).map(|_| &mut **cache));
        outputs.push(attend_once(&qkv, &part_of(plan, turn), layer, used)?);
        if number > 0 {
            for (owner, _) in turn {
                caches[*owner].cut_layer(layer.0, ends[*owner]);
            }
        }
    }
    // Back into the order of the batch.
    let mut places = vec![0_u32; order.len()];
    for (place, row) in order.into_iter().enumerate() {
        places[row as usize] = place as u32;
    }
    Tensor::cat(&outputs, 0)?.index_select(&Tensor::new(places.as_slice(), qkv.device())?, 0)
}

/// Segments that may be computed at once, as pairs of the segment that owns the keys and the one
/// that uses them: first all owners, then one of each owner's branches at a time.
fn turns(caches: &[&mut KvCache]) -> Vec<Vec<(usize, usize)>> {
    let mut turns: Vec<Vec<(usize, usize)>> = vec![Vec::new()];
    let mut branches = vec![0; caches.len()];
    for (segment, cache) in caches.iter().enumerate() {
        let (owner, turn) = match cache.layers {
            Layers::Shared(owner) => {
                branches[owner] += 1;
                (owner, branches[owner])
            }
            _ => (segment, 0),
        };
        if turns.len() == turn {
            turns.push(Vec::new());
        }
        turns[turn].push((owner, segment));
    }
    turns.iter_mut().for_each(|turn| turn.sort_unstable());
    turns
}

/// The plan of some of its segments.
fn part_of(plan: &AttentionPlan, turn: &[(usize, usize)]) -> AttentionPlan {
    let half = plan.heads.width / 2;
    let spans = || turn.iter().map(|(_, segment)| plan.spans[*segment].clone());
    let gather = |values: &[f32]| {
        spans().flat_map(|span| &values[span.start * half..span.end * half]).copied().collect()
    };
    let angles =
        plan.angles.iter().map(|set| Angles { cos: gather(&set.cos), sin: gather(&set.sin) });
    let mut start = 0;
    let laid = spans().map(|span| {
        start += span.len();
        start - span.len()..start
    });
    let spans = laid.collect();
    AttentionPlan { heads: plan.heads, scoring: plan.scoring, spans, angles: angles.collect() }
}

impl KvCache {
    /// Forgets all but the first `len` tokens in one layer.
    fn cut_layer(&mut self, index: usize, len: usize) {
        match &mut self.layers {
            Layers::Host(layers) => cut(&mut layers[index], len * self.width),
            Layers::Device(layers) => layers[index].truncate(len),
            Layers::Shared(_) => {}
        }
    }
}

fn attend_once<'a>(
    qkv: &Tensor,
    plan: &AttentionPlan,
    (index, rule): (usize, LayerRule),
    caches: impl Iterator<Item = &'a mut KvCache>,
) -> Result<Tensor> {
    let (mut host, mut device) = (Vec::new(), Vec::new());
    for cache in caches {
        match &mut cache.layers {
            Layers::Host(layers) => host.push(&mut layers[index]),
            Layers::Device(layers) => device.push(&mut layers[index]),
            Layers::Shared(owner) => {
                candle_core::bail!("the keys of segment {owner} aren't a segment's own")
            }
        }
    }
    match device.is_empty() {
        true => attention_cached(qkv, plan, rule, &mut host),
        false => composite::attention(qkv, plan, rule, Some(&mut device)),
    }
}

#[cfg(test)]
impl KvCache {
    /// A cache in host memory that has seen so many tokens, all of them zeros.
    pub fn filled(config: &DecoderConfig, tokens: usize) -> Self {
        let mut cache = Self::new(config, DType::F32, &Device::Cpu);
        let zeros = vec![0.0; tokens * cache.width];
        if let Layers::Host(layers) = &mut cache.layers {
            layers.fill(HostKeys { keys: zeros.clone(), values: zeros });
        }
        cache.len = tokens;
        cache
    }

    /// Claims to have seen so many tokens.
    pub fn pretend(&mut self, tokens: usize) {
        self.len = tokens;
    }
}
