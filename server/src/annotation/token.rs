//! What proves who somebody is: random text that is told once and of which only a hash is kept.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::RoomError;

/// 256 random bits in hexadecimal: nobody guesses one.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one from the system's generator.
    ///
    /// # Errors
    /// [`RoomError::Random`] where the system has none.
    pub fn random() -> Result<Self, RoomError> {
        Ok(Self(random_text(32)?))
    }

    /// A token as somebody presents it.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, to be told once.
    pub fn into_text(self) -> String {
        self.0
    }

    /// What is kept of it: SHA-256 in hexadecimal.
    pub fn hash(&self) -> String {
        format!("{:x}", Sha256::digest(self.0.as_bytes()))
    }
}

/// `bytes` random bytes in hexadecimal, for identifiers that say nothing.
///
/// # Errors
/// [`RoomError::Random`] where the system has no generator.
pub fn random_text(bytes: usize) -> Result<String, RoomError> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| RoomError::Random(error.to_string()))?;
    Ok(random.iter().fold(String::with_capacity(2 * bytes), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_their_hash_does_not_tell_them() {
        let (first, second) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(first.hash(), second.hash());
        let text = first.clone().into_text();
        assert_eq!(text.len(), 64);
        assert_eq!(Token::presented(&text).hash(), first.hash());
        assert!(!first.hash().contains(&text[..16]));
    }
}
