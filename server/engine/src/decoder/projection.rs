//! Linear layers that share an input, as one product, with the low-rank changes of the rows'
//! adapters. Which rows have which adapter is decided in [`super::batch`].

use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::{
    batch::{AdapterRows, Rows},
    lora::{LoraAdapter, LoraPair, Module},
    weight::Weight,
};
use crate::ops::{
    self,
    lora::{Change, Part, add_changes, add_low},
    quantised::QuantisedMatrix,
};

/// One to three linear layers with the same input.
#[derive(Debug)]
pub(super) struct Projection {
    layer: usize,
    modules: Vec<Module>,
    /// Output width of each module.
    widths: Vec<usize>,
    weights: Weights,
    /// `[sum of outs]`.
    bias: Option<Tensor>,
}

/// Frozen dense weights are stacked once; trained ones anew in every pass, so that gradients reach
/// them; others stay apart where they can't be stacked.
#[derive(Debug)]
enum Weights {
    One(Weight),
    Trained(Vec<Tensor>),
    Apart(Vec<Weight>),
}

impl Projection {
    /// Takes `(module, [out, in])` of one layer. `biases` holds one per module, or none.
    pub fn new(layer: usize, parts: Vec<(Module, Weight)>, biases: &[Tensor]) -> Result<Self> {
        let (modules, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let bias = (!biases.is_empty()).then(|| Tensor::cat(biases, 0)).transpose()?;
        let widths = parts.iter().map(Weight::rows).collect::<Result<_>>()?;
        Ok(Self { layer, modules, widths, weights: Weights::new(parts)?, bias })
    }

    /// `[n, in]` to `[n, sum of outs]`.
    pub fn forward(&self, x: &Tensor, rows: &Rows<'_>) -> Result<Tensor> {
        let base = match (&self.weights.joined()?, &self.bias) {
            (Some(weight), Some(bias)) => weight.linear_biased(x, bias, rows.tuned)?,
            (Some(weight), None) => weight.linear(x, rows.tuned)?,
            (None, bias) => {
                let base = self.side_by_side(x, rows.tuned)?;
                bias.as_ref().map_or(Ok(base.clone()), |bias| base.broadcast_add(bias))?
            }
        };
        self.adapt(base, x, rows)
    }

    /// [`Self::forward`] added to `residual`; what is rounded to 16 bits is rounded before, as peft does.
    pub fn forward_add(&self, residual: &Tensor, x: &Tensor, rows: &Rows<'_>) -> Result<Tensor> {
        if !ops::is_fused(residual) {
            return residual + self.forward(x, rows)?;
        }
        let base = match (&self.weights.joined()?, &self.bias) {
            (Some(weight), Some(bias)) => {
                (residual + weight.linear_biased(x, bias, rows.tuned)?)?
            }
            (Some(weight), None) => weight.linear_add(residual, x, rows.tuned)?,
            (None, _) => return residual + self.forward(x, rows)?,
        };
        self.adapt(base, x, rows)
    }

    /// The outputs of weights that stay apart.
    fn side_by_side(&self, x: &Tensor, tuned: bool) -> Result<Tensor> {
        let Weights::Apart(weights) = &self.weights else {
            candle_core::bail!("only weights that stay apart are multiplied one by one");
        };
        let outputs = weights.iter().map(|weight| weight.linear(x, tuned));
        Tensor::cat(&outputs.collect::<Result<Vec<_>>>()?, 1)
    }

    /// Adds the changes of the rows' adapters.
    fn adapt(&self, base: Tensor, x: &Tensor, rows: &Rows<'_>) -> Result<Tensor> {
        let groups = &rows.groups;
        if groups.iter().all(|group| group.adapter.is_none()) {
            return Ok(base);
        }
        if !rows.tuned
            && let Some(changes) = self.frozen_changes(&base, x, groups)
        {
            return add_changes(&base, x, &changes);
        }
        if let [AdapterRows { adapter: Some(adapter), .. }] = groups.as_slice() {
            return self.changed(&base, x, 0, adapter);
        }
        let mut changed = Vec::with_capacity(groups.len());
        for group in groups {
            let rows = |x: &Tensor| x.narrow(0, group.rows.start, group.rows.len());
            changed.push(match group.adapter {
                Some(adapter) => {
                    self.changed(&rows(&base)?, &rows(x)?, group.rows.start, adapter)?
                }
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
        let sees_all = |adapter: &LoraAdapter| adapter.dropout.is_none();
        let mut fits = plain(base) && plain(x);
        fits &= groups.iter().filter_map(|group| group.adapter).all(sees_all);
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

    /// `base` with `scale * (x · Aᵀ) · Bᵀ` of every module added to its columns; `row` is the first of `x` in
    /// the pass. An adapter in f32 on a model of 16 bits is computed with in f32, as peft does: its small
    /// changes would be rounded away.
    fn changed(
        &self,
        base: &Tensor,
        x: &Tensor,
        row: usize,
        adapter: &LoraAdapter,
    ) -> Result<Tensor> {
        let mut lows = Vec::with_capacity(self.modules.len());
        for &module in &self.modules {
            let Some(pair) = adapter.pair(self.layer, module) else {
                lows.push(None);
                continue;
            };
            let mut given = x.to_dtype(pair.a.dtype())?;
            if let Some(dropout) = &adapter.dropout {
                given = dropout.apply(&given, row, (self.layer, module))?;
            }
            lows.push(Some(((ops::linear(&given, &pair.a)? * pair.scale)?, &pair.b)));
        }
        let adapted: Vec<_> = lows.iter().flatten().collect();
        if adapted.iter().all(|(low, b)| [base, low, b].into_iter().all(ops::is_fused)) {
            return self.changed_at_once(base, &lows);
        }
        let change = |(low, &width): (&Option<(Tensor, &Tensor)>, &usize)| match low {
            Some((low, b)) => ops::linear(low, b)?.to_dtype(base.dtype()),
            None => Tensor::zeros((base.dim(0)?, width), base.dtype(), base.device()),
        };
        let changes = lows.iter().zip(&self.widths).map(change).collect::<Result<Vec<_>>>()?;
        base + Tensor::cat(&changes, 1)?
    }

    /// The same in one operation, for each module's `scale * (x · Aᵀ)` and B.
    fn changed_at_once(&self, base: &Tensor, lows: &[Option<(Tensor, &Tensor)>]) -> Result<Tensor> {
        let (mut parts, mut low, mut b, mut column) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (pair, &width) in lows.iter().zip(&self.widths) {
            if let Some((part, factor)) = pair {
                parts.push(Part { column, width, rank: part.dim(1)? });
                low.push(part.clone());
                b.push(factor.flatten_all()?);
            }
            column += width;
        }
        if parts.is_empty() {
            return Ok(base.clone());
        }
        add_low(base, &Tensor::cat(&low, 1)?, &Tensor::cat(&b, 0)?, parts)
    }
}

impl Weights {
    fn new(parts: Vec<Weight>) -> Result<Self> {
        let (mut dense, mut quantised) = (Vec::new(), Vec::new());
        for part in &parts {
            match part {
                Weight::Dense(tensor) => dense.push(tensor.clone()),
                Weight::Quantised(matrix) => quantised.push(&**matrix),
                Weight::Half(_) => {}
            }
        }
        if dense.len() == parts.len() {
            return Ok(match dense.iter().any(Tensor::track_op) {
                true => Self::Trained(dense),
                false => Self::One(Weight::Dense(Tensor::cat(&dense, 0)?)),
            });
        }
        let all = quantised.len() == parts.len();
        let stack = all.then(|| QuantisedMatrix::stack(&quantised)).flatten();
        Ok(match stack {
            Some(stack) => Self::One(Weight::Quantised(Arc::new(stack))),
            None => match <[Weight; 1]>::try_from(parts) {
                Ok([one]) => Self::One(one),
                Err(parts) => Self::Apart(parts),
            },
        })
    }

    /// All of them as one; `None` if they stay apart.
    fn joined(&self) -> Result<Option<Weight>> {
        Ok(match self {
            Self::One(weight) => Some(weight.clone()),
            Self::Trained(weights) => match weights.as_slice() {
                [weight] => Some(Weight::Dense(weight.clone())),
                weights => Some(Weight::Dense(Tensor::cat(weights, 0)?)),
            },
            Self::Apart(_) => None,
        })
    }
}
