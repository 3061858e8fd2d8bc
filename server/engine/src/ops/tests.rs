//! Every fused operation against finite differences and against its composition.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, Var};
use domain::random::SplitMix64;

use super::{
    Activation, AttentionPlan, Heads, LayerRule, Scoring, attention::attention, composite,
};

const HEADS: Heads = Heads { query: 4, kv: 2, width: 6 };

fn random(shape: &[usize], seed: u64) -> Var {
    let mut random = SplitMix64::new(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| 2.0 * random.unit() as f32 - 1.0).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn close(a: &Tensor, b: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    for (index, (a, b)) in values(a).iter().zip(values(b)).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}[{index}]: {a} and {b}");
    }
}

/// A scalar that weighs every output differently, so that no gradient cancels out.
fn weigh(x: &Tensor) -> Result<Tensor> {
    let count = x.elem_count();
    let weights = Tensor::arange(0, count as u32, x.device())?.to_dtype(x.dtype())?;
    let weights = ((weights * 0.37)?.sin()? + 0.2)?;
    (x.flatten_all()? * weights)?.sum_all()
}

/// Checks `f`'s gradient of every entry of every argument against central differences, and value
/// and gradients against the composition `g`.
#[track_caller]
fn check(
    arguments: &[Var],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    g: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let tensors: Vec<Tensor> = arguments.iter().map(|x| x.as_tensor().clone()).collect();
    close(&f(&tensors).unwrap(), &g(&tensors).unwrap(), 2e-6, "value");
    let gradients = weigh(&f(&tensors).unwrap()).unwrap().backward().unwrap();
    let composed = weigh(&g(&tensors).unwrap()).unwrap().backward().unwrap();
    for (index, argument) in arguments.iter().enumerate() {
        let gradient = gradients.get(argument).unwrap();
        close(gradient, composed.get(argument).unwrap(), 2e-5, &format!("gradient {index}"));
        let (base, gradient) = (values(argument), values(gradient));
        for entry in 0..base.len() {
            let at = |change: f32| {
                let mut moved = base.clone();
                moved[entry] += change;
                let moved = Tensor::from_vec(moved, argument.shape(), &Device::Cpu).unwrap();
                let mut tensors = tensors.clone();
                tensors[index] = moved;
                weigh(&f(&tensors).unwrap()).unwrap().to_scalar::<f32>().unwrap()
            };
            let step = 1e-2;
            let slope = (at(step) - at(-step)) / (2.0 * step);
            let error = (slope - gradient[entry]).abs();
            assert!(
                error <= 5e-3 * (1.0 + slope.abs()),
                "argument {index}, entry {entry}: {} by backward, {slope} by differences",
                gradient[entry]
            );
        }
    }
}

#[test]
fn rms_norm() {
    check(
        &[random(&[3, 18], 1), random(&[18], 2)],
        |x| super::rms_norm(&x[0], &x[1], 1e-5),
        |x| composite::rms_norm(&x[0], &x[1], 1e-5),
    );
}

#[test]
fn linear() {
    for rows in [1, 2, 5] {
        check(
            &[random(&[rows, 7], 3), random(&[4, 7], 4)],
            |x| super::linear(&x[0], &x[1]),
            |x| composite::linear(&x[0], &x[1]),
        );
    }
}

#[test]
fn linear_add() {
    for rows in [1, 3] {
        check(
            &[random(&[rows, 5], 5), random(&[rows, 7], 6), random(&[5, 7], 7)],
            |x| super::linear_add(&x[0], &x[1], &x[2]),
            |x| &x[0] + composite::linear(&x[1], &x[2])?,
        );
    }
}

#[test]
fn gated() {
    for activation in [Activation::Silu, Activation::GeluTanh] {
        check(
            &[random(&[3, 38], 8)],
            |x| super::gated(&(&x[0] * 3.0)?, activation),
            |x| composite::gated(&(&x[0] * 3.0)?, activation),
        );
    }
}

/// The library adds products of wide rows portion by portion, to what is there already.
#[test]
fn a_row_of_a_linear_layer_does_not_depend_on_its_company() {
    for (width, outputs) in [(2, 40), (640, 256), (1100, 8)] {
        let (x, weight) = (random(&[70, width], 30), random(&[outputs, width], 31));
        let residual = random(&[70, outputs], 32);
        let of = |from: usize, rows: usize| {
            let at = |x: &Var| x.narrow(0, from, rows).unwrap();
            let alone = super::linear(&at(&x), &weight).unwrap();
            let added = super::linear_add(&at(&residual), &at(&x), &weight).unwrap();
            [alone, added].map(|y| y.to_vec2::<f32>().unwrap())
        };
        let together = of(0, 70);
        for row in [0, 1, 69] {
            let alone = of(row, 1);
            for (alone, together) in alone.iter().zip(&together) {
                assert_eq!(alone[0], together[row], "{width} to {outputs}, row {row}");
            }
        }
    }
}

#[test]
fn head_norms_are_norms_of_each_head_alone() {
    let (query, key) = (random(&[HEADS.width], 31), random(&[HEADS.width], 32));
    let qkv = random(&[2, HEADS.row()], 33);
    let normed = super::head_norms(&qkv, HEADS, (&query, &key), 1e-6).unwrap();
    for head in 0..HEADS.query + 2 * HEADS.kv {
        let part = |x: &Tensor| x.narrow(1, head * HEADS.width, HEADS.width).unwrap();
        let expected = match head {
            head if head < HEADS.query => composite::rms_norm(&part(&qkv), &query, 1e-6).unwrap(),
            head if head < HEADS.query + HEADS.kv => {
                composite::rms_norm(&part(&qkv), &key, 1e-6).unwrap()
            }
            _ => part(&qkv),
        };
        close(&part(&normed), &expected, 1e-6, &format!("head {head}"));
    }
}

/// The composition that [`super::linear_cross_entropy`] must equal.
fn composed(hidden: &Tensor, head: &Tensor, targets: &[u32], weights: &[f32]) -> Result<Tensor> {
    let sum: f32 = weights.iter().sum();
    let shares: Vec<f32> = weights.iter().map(|weight| weight / sum).collect();
    let targets = Tensor::new(targets, &Device::Cpu)?;
    let shares = Tensor::new(shares.as_slice(), &Device::Cpu)?;
    composite::cross_entropy(&composite::linear(hidden, head)?, &targets, &shares)
}

#[test]
fn linear_cross_entropy() {
    let targets: Vec<u32> = (0..5).map(|i| i * 7 % 20).collect();
    let weights = [1.0, 0.5, 3.0, 0.01, 2.0];
    check(
        &[random(&[5, 6], 10), random(&[20, 6], 11)],
        // A factor besides one: gradients taken along in the forward pass must be scaled.
        |x| super::linear_cross_entropy(&x[0], &x[1], &targets, &weights)? * 2.5,
        |x| composed(&x[0], &x[1], &targets, &weights)? * 2.5,
    );
}

#[test]
fn linear_cross_entropy_in_several_chunks() {
    // A vocabulary so large that a chunk holds its 16 rows at least.
    let (rows, classes, width) = (37, 70_000, 2);
    let (hidden, head) = (random(&[rows, width], 12), random(&[classes, width], 13));
    let targets: Vec<u32> = (0..rows as u32).map(|i| i * 1801).collect();
    let weights: Vec<f32> = (0..rows).map(|i| 1.0 + i as f32).collect();
    let fused = super::linear_cross_entropy(&hidden, &head, &targets, &weights).unwrap();
    let composed = composed(&hidden, &head, &targets, &weights).unwrap();
    close(&fused, &composed, 1e-6, "loss");
    let (fused, composed) = (fused.backward().unwrap(), composed.backward().unwrap());
    for variable in [&hidden, &head] {
        let (a, b) = (fused.get(variable).unwrap(), composed.get(variable).unwrap());
        close(a, b, 1e-6, "gradient");
    }
}

#[test]
fn targets_and_weights_are_checked() {
    let refused = |targets: &[u32], weights: &[f32]| {
        let (hidden, head) = (random(&[2, 3], 14), random(&[20, 3], 15));
        super::linear_cross_entropy(&hidden, &head, targets, weights).unwrap_err().to_string()
    };
    assert!(refused(&[1, 20], &[1.0; 2]).contains("target 20 is outside of 20 classes"));
    assert!(refused(&[1], &[1.0; 2]).contains("got 1 and 2"));
    assert!(refused(&[1, 2], &[0.0; 2]).contains("above zero"));
}

/// A plan with usual frequencies for segments that begin at position 0.
fn plan(softcap: Option<f32>, lengths: &[usize]) -> Arc<AttentionPlan> {
    let scoring = Scoring { scale: (HEADS.width as f32).powf(-0.5), softcap };
    let frequency = |i| 100f32.powf(-2.0 * i as f32 / HEADS.width as f32);
    let frequencies = [(0..HEADS.width / 2).map(frequency).collect()];
    let segments = lengths.iter().map(|len| (*len, 0));
    Arc::new(AttentionPlan::new(HEADS, scoring, &frequencies, segments))
}

/// Every layer is one of these.
const RULES: [LayerRule; 4] = [
    LayerRule { angles: Some(0), window: None },
    LayerRule { angles: None, window: None },
    LayerRule { angles: Some(0), window: Some(2) },
    LayerRule { angles: Some(0), window: Some(40) },
];

#[test]
fn attention_over_ragged_segments() {
    for (rule, softcap) in RULES.into_iter().zip([None, Some(0.7), None, Some(2.0)]) {
        let plan = plan(softcap, &[1, 5, 3]);
        check(
            &[random(&[9, HEADS.row()], 15)],
            |x| attention(&(&x[0] * 2.0)?, &plan, rule),
            |x| composite::attention(&(&x[0] * 2.0)?, &plan, rule, None),
        );
    }
}

#[test]
fn attention_over_several_blocks() {
    for (rule, softcap) in RULES.into_iter().zip([None, None, Some(0.5), None]) {
        let plan = plan(softcap, &[70, 129]);
        let qkv = random(&[199, HEADS.row()], 16);
        let fused = attention(&qkv, &plan, rule).unwrap();
        let composed = composite::attention(&qkv, &plan, rule, None).unwrap();
        close(&fused, &composed, 1e-5, "value");
        let fused = weigh(&fused).unwrap().backward().unwrap();
        let composed = weigh(&composed).unwrap().backward().unwrap();
        close(fused.get(&qkv).unwrap(), composed.get(&qkv).unwrap(), 1e-4, "gradient");
    }
}

#[test]
fn a_window_hides_what_is_too_far_back() {
    let (plan, rule) = (plan(None, &[6]), LayerRule { angles: Some(0), window: Some(3) });
    let qkv = random(&[6, HEADS.row()], 17).detach();
    let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let last = |qkv: &Tensor| values(&attention(qkv, &plan, rule).unwrap().get(5).unwrap());
    let changed = |row: usize| {
        let other = random(&[1, HEADS.row()], 18).detach();
        let rows = [qkv.narrow(0, 0, row), Ok(other), qkv.narrow(0, row + 1, 5 - row)];
        let rows = rows.map(Result::unwrap).into_iter().filter(|x| x.dims()[0] > 0);
        Tensor::cat(&rows.collect::<Vec<_>>(), 0).unwrap()
    };
    assert_eq!(last(&changed(2)), last(&qkv), "three back is hidden");
    assert_ne!(last(&changed(3)), last(&qkv), "two back is seen");
}
