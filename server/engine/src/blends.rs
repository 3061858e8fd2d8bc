//! The rules of blends, and what people see of one. The arithmetic is in
//! [`super::decoder::LoraAdapter::blend`].

use std::sync::Arc;

use domain::adapter::{BlendPart, LARGEST_BLEND, LARGEST_WEIGHT};
use sha2::{Digest, Sha256};

use super::adapters::NamedAdapter;
use super::error::EngineError;

/// Refuses a blend of too many or too few adapters, of one twice, or with odd weights.
///
/// # Errors
/// [`EngineError::InvalidRequest`].
pub fn check(parts: &[BlendPart]) -> Result<(), EngineError> {
    let hint = "Give each adapter once, with a weight such as 0.5.";
    if parts.is_empty() || parts.len() > LARGEST_BLEND {
        let rule = format!("a blend must have 1 to {LARGEST_BLEND} adapters, not {}", parts.len());
        return Err(EngineError::invalid(rule, hint));
    }
    for (index, BlendPart { adapter, weight }) in parts.iter().enumerate() {
        // Also refuses what isn't a number.
        if !(-LARGEST_WEIGHT..=LARGEST_WEIGHT).contains(weight) {
            let rule = format!(
                "the weight of `{adapter}` in a blend must be between -{LARGEST_WEIGHT} and \
                 {LARGEST_WEIGHT}, not {weight}"
            );
            return Err(EngineError::invalid(rule, hint));
        }
        if parts[..index].iter().any(|other| other.adapter == *adapter) {
            let rule = format!("a blend must name an adapter once, and has `{adapter}` twice");
            return Err(EngineError::invalid(rule, hint));
        }
    }
    Ok(())
}

/// `0.5 joint + 0.5 specific-THA`.
pub fn name(parts: &[(Arc<NamedAdapter>, f64)]) -> String {
    let part = |(part, weight): &(Arc<NamedAdapter>, f64)| format!("{weight} {}", part.info.name);
    parts.iter().map(part).collect::<Vec<_>>().join(" + ")
}

/// SHA-256 of the parts' hashes and weights.
pub fn hash(parts: &[(Arc<NamedAdapter>, f64)]) -> String {
    let mut hasher = Sha256::new();
    for (part, weight) in parts {
        hasher.update(part.info.hash.as_bytes());
        hasher.update(weight.to_bits().to_le_bytes());
    }
    format!("{:x}", hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(adapter: &str, weight: f64) -> BlendPart {
        BlendPart { adapter: adapter.to_owned(), weight }
    }

    #[test]
    fn blends_against_the_rules_are_refused_by_name() {
        let many: Vec<BlendPart> = (0..9).map(|number| part(&number.to_string(), 0.1)).collect();
        for (parts, expected) in [
            (vec![], "not 0"),
            (many.clone(), "not 9"),
            (vec![part("a", 0.5), part("b", f64::NAN)], "`b`"),
            (vec![part("a", f64::INFINITY)], "not inf"),
            (vec![part("a", -2.01)], "not -2.01"),
            (vec![part("a", 0.5), part("b", 0.2), part("a", 0.1)], "`a` twice"),
        ] {
            let error = check(&parts).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(check(&many[..8]).is_ok());
        assert!(check(&[part("a", -2.0), part("b", 2.0)]).is_ok());
    }
}
