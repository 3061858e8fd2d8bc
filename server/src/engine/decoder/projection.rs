//! Linear layers that share an input, as one product, with the low-rank changes of the rows'
//! adapters. Which rows have which adapter is decided in [`super::batch`].

use candle_core::{Result, Tensor};

use super::{
    batch::AdapterRows,
    lora::{LoraAdapter, Module},
};
use crate::engine::ops;

/// The stacked weight of one to three linear layers with the same input.
#[derive(Debug)]
pub(super) struct Projection {
    layer: usize,
    modules: Vec<Module>,
    /// Output width of each module.
    widths: Vec<usize>,
    weight: Weight,
}

/// Frozen weights are stacked once; trained ones anew in every pass, so that gradients reach them.
#[derive(Debug)]
enum Weight {
    Stacked(Tensor),
    Parts(Vec<Tensor>),
}

impl Projection {
    /// Stacks `(module, [out, in])` of one layer.
    pub fn new(layer: usize, parts: Vec<(Module, Tensor)>) -> Result<Self> {
        let (modules, weights): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let widths = weights.iter().map(|weight| weight.dim(0)).collect::<Result<_>>()?;
        let trained = weights.iter().any(Tensor::track_op);
        let weight = match trained {
            true => Weight::Parts(weights),
            false => Weight::Stacked(Tensor::cat(&weights, 0)?),
        };
        Ok(Self { layer, modules, widths, weight })
    }

    /// `[n, in]` to `[n, sum of outs]`.
    pub fn forward(&self, x: &Tensor, groups: &[AdapterRows<'_>]) -> Result<Tensor> {
        self.adapt(ops::linear(x, &self.weight()?)?, x, groups)
    }

    /// [`Self::forward`] added to `residual`.
    pub fn forward_add(
        &self,
        residual: &Tensor,
        x: &Tensor,
        groups: &[AdapterRows<'_>],
    ) -> Result<Tensor> {
        self.adapt(ops::linear_add(residual, x, &self.weight()?)?, x, groups)
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
        match groups {
            [AdapterRows { adapter: None, .. }] => return Ok(base),
            [AdapterRows { adapter: Some(adapter), .. }] => {
                return base + self.change(x, adapter)?;
            }
            _ => {}
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

    /// `scale * (x · Aᵀ) · Bᵀ` of every module side by side.
    fn change(&self, x: &Tensor, adapter: &LoraAdapter) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(self.modules.len());
        for (&module, &width) in self.modules.iter().zip(&self.widths) {
            parts.push(match adapter.pair(self.layer, module) {
                Some(pair) => {
                    let low = (ops::linear(x, &pair.a)? * adapter.config.scale())?;
                    ops::linear(&low, &pair.b)?
                }
                None => Tensor::zeros((x.dim(0)?, width), x.dtype(), x.device())?,
            });
        }
        Tensor::cat(&parts, 1)
    }
}
