//! Which tokens must be scored to know how probable each option is as the whole reply.
//!
//! The probability of an option is the product over its tokens and the end token, each given those
//! before it. Options are laid into a trie: `1` and `10` share their start, so only the longest
//! paths are fed to the model. Feeding them is [`super::option_scorer`]'s work.

use super::error::EngineError;

/// A token whose probability counts, after the tokens of one row of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Factor {
    Token(u32),
    End,
}

/// How the options of a prompt are scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionPlan {
    paths: Vec<Vec<u32>>,
    /// Per option: rows of scores and what must follow there. Row 0 stands after the prompt, then
    /// come the paths' tokens in order.
    options: Vec<Vec<(usize, Factor)>>,
}

impl OptionPlan {
    /// Plans for options given as tokens, without the end token.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] if there is no option, an empty one, or two equal ones.
    pub fn new(options: &[Vec<u32>]) -> Result<Self, EngineError> {
        if options.is_empty() {
            return Err(EngineError::invalid(
                "a question to score must have at least one option, and has 0",
                "Give the replies to compare, such as `1` and `2`.",
            ));
        }
        for (index, option) in options.iter().enumerate() {
            let number = index + 1;
            if option.is_empty() {
                return Err(EngineError::invalid(
                    format!("option {number} must hold at least one token, and is empty"),
                    "Leave it out, or give its number as text.",
                ));
            }
            if let Some(first) = options[..index].iter().position(|other| other == option) {
                return Err(EngineError::invalid(
                    format!("options must differ, and {} and {number} are equal", first + 1),
                    "Give every option once.",
                ));
            }
        }
        let mut paths: Vec<Vec<u32>> = options
            .iter()
            .filter(|option| {
                !options.iter().any(|o| o.len() > option.len() && o.starts_with(option))
            })
            .cloned()
            .collect();
        paths.sort_unstable();
        let options = options.iter().map(|option| factors(option, &paths)).collect();
        Ok(Self { paths, options })
    }

    /// Token sequences to feed after the prompt, each with scores wanted after every token.
    pub fn paths(&self) -> &[Vec<u32>] {
        &self.paths
    }

    /// Tokens in all paths.
    pub fn tokens(&self) -> usize {
        self.paths.iter().map(Vec::len).sum()
    }

    /// Probability per option, normalised over the options. `rows` are the scores after the prompt
    /// and after every token of the paths; any of `ends` ends the reply.
    ///
    /// # Errors
    /// [`EngineError::Compute`] if the scores aren't numbers.
    pub fn probabilities(&self, rows: &[&[f32]], ends: &[u32]) -> Result<Vec<f64>, EngineError> {
        let totals: Vec<f64> = rows.iter().map(|row| log_sum_exp(row.iter().copied())).collect();
        let logs: Vec<f64> = self
            .options
            .iter()
            .map(|factors| {
                factors.iter().map(|factor| log_probability(*factor, rows, &totals, ends)).sum()
            })
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
        if !sum.is_finite() {
            let reason = "an option's probability isn't a number, as damaged weights make it";
            return Err(EngineError::Compute { reason: reason.to_owned() });
        }
        Ok(logs.iter().map(|log| (log - largest).exp() / sum).collect())
    }
}

/// Where along the paths each token of `option` and its end are scored.
fn factors(option: &[u32], paths: &[Vec<u32>]) -> Vec<(usize, Factor)> {
    let mut start = 1;
    for path in paths {
        if path.starts_with(option) {
            let row = |position: usize| if position == 0 { 0 } else { start + position - 1 };
            let tokens = option.iter().enumerate();
            let mut factors: Vec<_> =
                tokens.map(|(position, &token)| (row(position), Factor::Token(token))).collect();
            factors.push((row(option.len()), Factor::End));
            return factors;
        }
        start += path.len();
    }
    Vec::new()
}

fn log_probability(
    (row, factor): (usize, Factor),
    rows: &[&[f32]],
    totals: &[f64],
    ends: &[u32],
) -> f64 {
    let log = match factor {
        Factor::Token(token) => f64::from(rows[row][token as usize]),
        Factor::End => log_sum_exp(ends.iter().map(|&end| rows[row][end as usize])),
    };
    log - totals[row]
}

fn log_sum_exp(values: impl Iterator<Item = f32> + Clone) -> f64 {
    let largest = values.clone().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = values.map(|value| f64::from((value - largest).exp())).sum();
    f64::from(largest) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_with_a_common_start_share_a_path() {
        // 1 and 10 (two tokens), and 2.
        let plan = OptionPlan::new(&[vec![11], vec![11, 10], vec![12]]).unwrap();
        assert_eq!(plan.paths(), [vec![11, 10], vec![12]]);
        assert_eq!(plan.tokens(), 3);
        assert_eq!(plan.options[0], [(0, Factor::Token(11)), (1, Factor::End)]);
        assert_eq!(
            plan.options[1],
            [(0, Factor::Token(11)), (1, Factor::Token(10)), (2, Factor::End)]
        );
        assert_eq!(plan.options[2], [(0, Factor::Token(12)), (3, Factor::End)]);
    }

    #[test]
    fn the_end_token_tells_1_from_10() {
        // Vocabulary: 0 = end, 1 = "1", 2 = "0". After "1" the model goes on with "0" at 3/4.
        let plan = OptionPlan::new(&[vec![1], vec![1, 2]]).unwrap();
        let log = |row: [f32; 3]| row.map(f32::ln);
        let rows = [log([0.1, 0.8, 0.1]), log([0.25, 1e-30, 0.75]), log([1.0, 1e-30, 1e-30])];
        let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
        let probabilities = plan.probabilities(&rows, &[0]).unwrap();
        assert!((probabilities[0] - 0.25).abs() < 1e-6, "{probabilities:?}");
        assert!((probabilities[1] - 0.75).abs() < 1e-6, "{probabilities:?}");
    }

    #[test]
    fn refuses_what_has_no_meaning() {
        for (options, part) in [
            (vec![], "at least one option"),
            (vec![vec![1], vec![]], "option 2"),
            (vec![vec![1], vec![2], vec![1]], "1 and 3 are equal"),
        ] {
            let error = OptionPlan::new(&options).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn broken_scores_are_an_error() {
        let plan = OptionPlan::new(&[vec![0], vec![1]]).unwrap();
        let row = [f32::NAN, 0.0];
        assert!(plan.probabilities(&[&row, &row, &row], &[0]).is_err());
    }
}
