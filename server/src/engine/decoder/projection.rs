//! Linear layers that share an input, as one product, with the low-rank changes of the rows'
//! adapters. Which rows have which adapter is decided in [`super::batch`].

use candle_core::{Result, Tensor};

use super::{
    batch::AdapterRows,
    lora::{LoraAdapter, LoraPair, Module},
};
use crate::engine::ops::{
    self,
    lora::{Change, add_changes},
};

/// The stacked weight of one to three linear layers with the same input.
#[derive(Debug)]
pub(super) struct Projection {
    layer: usize,
    modules: Vec<Module>,
    /// Output width of each module.
    widths: Vec<usize>,
    weight: Weight,
    /// `[sum of outs]`.
    bias: Option<Tensor>,
}

/// Frozen weights are stacked once; trained ones anew in every pass, so that gradients reach them.
#[derive(Debug)]
enum Weight {
    Stacked(Tensor),
    Parts(Vec<Tensor>),
}

impl Projection {
    /// Stacks `(module, [out, in])` of one layer. `biases` holds one per module, or none.
    pub fn new(layer: usize, parts: Vec<(Module, Tensor)>, biases: &[Tensor]) -> Result<Self> {
        let (modules, weights): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let bias = (!biases.is_empty()).then(|| Tensor::cat(biases, 0)).transpose()?;
        let widths = weights.iter().map(|weight| weight.dim(0)).collect::<Result<_>>()?;
        let trained = weights.iter().any(Tensor::track_op);
        let weight = match trained {
            true => Weight::Parts(weights),
            false => Weight::Stacked(Tensor::cat(&weights, 0)?),
        };
        Ok(Self { layer, modules, widths, weight, bias })
    }

    /// `[n, in]` to `[n, sum of outs]`.
    pub fn forward(&self, x: &Tensor, groups: &[AdapterRows<'_>]) -> Result<Tensor> {
        let weight = self.weight()?;
        let base = match &self.bias {
            Some(bias) => ops::linear_biased(x, &weight, bias)?,
            None => ops::linear(x, &weight)?,
        };
        self.adapt(base, x, groups)
    }

    /// [`Self::forward`] added to `residual`.
    pub fn forward_add(
        &self,
        residual: &Tensor,
        x: &Tensor,
        groups: &[AdapterRows<'_>],
    ) -> Result<Tensor> {
        let base = match &self.bias {
            Some(bias) => (residual + ops::linear_biased(x, &self.weight()?, bias)?)?,
            None => ops::linear_add(residual, x, &self.weight()?)?,
        };
        self.adapt(base, x, groups)
    }

    fn weight(&self) -> Result<Tensor> {
        match &self.weight {
            Weight::Stacked(weight) => Ok(weight.clone()),
            Weight::Parts(weights) => match weights.as_slice() {
                [weight] => Ok(weight.clone()),
                weights => Tensor::cat(weights, 0),
            },
        }
    }

    /// Adds the changes of the rows' adapters.
    fn adapt(&self, base: Tensor, x: &Tensor, groups: &[AdapterRows<'_>]) -> Result<Tensor> {
        if groups.iter().all(|group| group.adapter.is_none()) {
            return Ok(base);
        }
        if let Some(changes) = self.frozen_changes(&base, x, groups) {
            return add_changes(&base, x, &changes);
        }
        if let [AdapterRows { adapter: Some(adapter), .. }] = groups {
            return base + self.change(x, adapter)?;
        }
        let mut changed = Vec::with_capacity(groups.len());
        for group in groups {
            let rows = |x: &Tensor| x.narrow(0, group.rows.start, group.rows.len());
            changed.push(match group.adapter {
                Some(adapter) => (rows(&base)? + self.change(&rows(x)?, adapter)?)?,
                None => rows(&base)?,
            });
        }
        Tensor::cat(&changed, 0)
    }

    /// The changes as the kernel for serving takes them; `None` where a gradient is wanted or the
    /// kernel doesn't fit.
    fn frozen_changes<'a>(
        &self,
        base: &Tensor,
        x: &Tensor,
        groups: &[AdapterRows<'a>],
    ) -> Option<Vec<Change<'a>>> {
        let plain = |x: &Tensor| ops::is_fused(x) && !x.track_op();
        let mut fits = plain(base) && plain(x);
        let mut changes = Vec::new();
        for group in groups {
            let Some(adapter) = group.adapter else { continue };
            let mut column = 0;
            for (&module, &width) in self.modules.iter().zip(&self.widths) {
                if let Some(LoraPair { a, b, scale }) = adapter.pair(self.layer, module) {
                    fits &= plain(a) && plain(b);
                    let (rows, scale) = (group.rows.clone(), *scale as f32);
                    changes.push(Change { rows, column, a, b, scale });
                }
                column += width;
            }
        }
        fits.then_some(changes)
    }

    /// `scale * (x · Aᵀ) · Bᵀ` of every module side by side.
    fn change(&self, x: &Tensor, adapter: &LoraAdapter) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(self.modules.len());
        for (&module, &width) in self.modules.iter().zip(&self.widths) {
            parts.push(match adapter.pair(self.layer, module) {
                Some(pair) => {
                    let low = (ops::linear(x, &pair.a)? * pair.scale)?;
                    ops::linear(&low, &pair.b)?
                }
                None => Tensor::zeros((x.dim(0)?, width), x.dtype(), x.device())?,
            });
        }
        Tensor::cat(&parts, 1)
    }
}
