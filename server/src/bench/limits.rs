//! How fast a measure could be at best on this machine, by the roofline model (Williams, Waterman and
//! Patterson, 2009): what has to be read over how fast memory is read, or what has to be multiplied over
//! how fast matrices are multiplied, whichever takes longer.

use serde::Serialize;

use super::roofline::Roofline;
use super::shape::Shape;
use super::workload::{Measure, VOICES, Workload};
use engine::WeightFormat;

/// What one unit of a measure (a token, a prompt) needs at least. Attention, norms, adapters and
/// activations are left out; beside the matrices they are small.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Need {
    /// Multiplications and additions.
    operations: f64,
    /// Bytes of weights that are read.
    bytes: f64,
}

/// A measure's rate beside what the machine could do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Of the rate that the roofline allows.
    pub of_roofline: f64,
    /// Of the rate at which matrices are multiplied; model FLOP utilisation where all are dense.
    pub of_arithmetic: f64,
    /// What limits it: `memory` or `arithmetic`.
    pub limit: &'static str,
}

/// Our rate's share; `None` for measures that aren't rates.
pub(super) fn share(
    measure: Measure,
    rate: f64,
    shape: Shape,
    weights: WeightFormat,
    work: &Workload,
    roofline: &Roofline,
) -> Option<Share> {
    let need = need(measure, shape, weights, work)?;
    let peak = match weights {
        WeightFormat::F32 | WeightFormat::BF16 | WeightFormat::F16 => roofline.dense_gflop_s,
        // Q4_K and Q8_0 are multiplied by the same instructions.
        WeightFormat::Q8_0 | WeightFormat::Q4K | WeightFormat::Stored => {
            roofline.byte_gop_s.unwrap_or(roofline.dense_gflop_s)
        }
    };
    let (arithmetic, memory) =
        (need.operations / (peak * 1e9), need.bytes / (roofline.read_gb_s * 1e9));
    Some(Share {
        of_roofline: rate * arithmetic.max(memory),
        of_arithmetic: rate * arithmetic,
        limit: if memory > arithmetic { "memory" } else { "arithmetic" },
    })
}

fn need(measure: Measure, shape: Shape, weights: WeightFormat, work: &Workload) -> Option<Need> {
    let (layers, head) = (shape.layer_weights() as f64, shape.head_weights() as f64);
    let bytes = (layers + head) * bits(weights) / 8.0;
    Some(match measure {
        Measure::DecodeSingle => Need { operations: 2.0 * (layers + head), bytes },
        Measure::DecodeAdapters => {
            Need { operations: 2.0 * (layers + head), bytes: bytes / VOICES as f64 }
        }
        Measure::Prefill => {
            let tokens = work.long_prompt.len() as f64;
            Need { operations: 2.0 * (layers + head / tokens), bytes: bytes / tokens }
        }
        Measure::SurveySweep => {
            // Every persona once, every question after each of them, one place to score.
            let lengths = |rows: &[Vec<u32>]| rows.iter().map(Vec::len).sum::<usize>() as f64;
            let prompts = (work.personas.len() * work.questions.len()) as f64;
            let tokens =
                lengths(&work.personas) + work.personas.len() as f64 * lengths(&work.questions);
            Need { operations: 2.0 * (layers * tokens / prompts + head), bytes: bytes / prompts }
        }
        Measure::PeakMemory | Measure::FirstToken => return None,
    })
}

/// Bits of a weight; the bench's GGUF file is Q8_0.
fn bits(weights: WeightFormat) -> f64 {
    match weights {
        WeightFormat::F32 => 32.0,
        WeightFormat::BF16 | WeightFormat::F16 => 16.0,
        WeightFormat::Q8_0 | WeightFormat::Stored => 8.5,
        WeightFormat::Q4K => 4.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_is_limited_by_memory_and_a_long_prompt_by_arithmetic() {
        let roofline = Roofline {
            device: "a test".to_owned(),
            read_gb_s: 40.0,
            dense_gflop_s: 200.0,
            byte_gop_s: Some(400.0),
            q8_0_gop_s: None,
            candle_q8_0_gop_s: None,
            q8_0_gop_s_by_kernel: Default::default(),
            kernel: None,
        };
        let work = Workload::new(1000);
        let share = |measure, rate| {
            share(measure, rate, Shape::Qwen05B, WeightFormat::Stored, &work, &roofline)
        };
        // 0.494 billion weights of 8.5 bits are 0.525 GB, of which 40 GB hold 76.
        let single = share(Measure::DecodeSingle, 38.1).unwrap();
        assert_eq!(single.limit, "memory");
        assert!((single.of_roofline - 0.5).abs() < 0.01, "{single:?}");
        // 2 x 0.358 billion operations a token: 400 billion are 558 tokens.
        let prefill = share(Measure::Prefill, 279.0).unwrap();
        assert_eq!(prefill.limit, "arithmetic");
        assert!((prefill.of_roofline - 0.5).abs() < 0.01, "{prefill:?}");
        assert_eq!(prefill.of_roofline, prefill.of_arithmetic);
        assert_eq!(share(Measure::FirstToken, 1.0), None);
    }
}
