//! How much memory the caches of one kind of work may take, counted in tokens of the model: what a
//! row may reserve of it, and which row may come in when little is left.
//!
//! A row reserves all that it may come to hold before it is let in, so that the tokens of all caches stay
//! within the memory that there is; what a buffer has to spare, an eighth at most, comes on top. Who asks,
//! and in which order, is [`super::scheduler`]'s work.

/// A row gets at most one part in so many, unless its prompt needs more.
const ROW_PARTS: usize = 4;
/// Tokens of a reply that has them in any case, as long as they are there.
const SHORTEST_REPLY: usize = 512;
/// One part in so many is for clients that hold little, so that somebody who comes later needn't
/// wait for a reply to end.
const RESERVED_PARTS: usize = 4;
/// A client with at most one part in so many holds little.
const LITTLE_PARTS: usize = 8;

/// Memory for caches of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheMemory {
    bytes: usize,
    tokens: usize,
}

/// What is reserved when a row asks for its part, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// By everybody.
    pub all: usize,
    /// By the row's client.
    pub own: usize,
    /// Whether other clients wait.
    pub others_wait: bool,
}

/// Whether a row may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Fits,
    /// Its client holds so much that the rest is for others.
    Share,
    /// There isn't so much left.
    Full,
}

impl CacheMemory {
    /// `bytes` for the caches of a model of which one token takes `bytes_per_token`.
    pub fn new(bytes: usize, bytes_per_token: usize) -> Self {
        Self { bytes, tokens: bytes / bytes_per_token.max(1) }
    }

    /// Bytes that all caches may take together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tokens that they hold, which is the most that a single row may have.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Tokens that the reply to a prompt of so many may have at most. A prompt leaves its row what
    /// is missing to a quarter of the memory, and if that is little, some hundred tokens beyond.
    pub fn reply(&self, prompt: usize) -> usize {
        let usual = (self.tokens / ROW_PARTS).saturating_sub(prompt);
        usual.max(SHORTEST_REPLY).min(self.tokens.saturating_sub(prompt))
    }

    /// Whether a row that reserves `row` tokens may come in. A client that holds nothing may have
    /// anything that is left; one that holds something must leave the last quarter to those who hold
    /// little, and half of everything to others who wait.
    pub fn verdict(&self, held: Reserved, row: usize) -> Verdict {
        let (all, own) = (held.all.saturating_add(row), held.own.saturating_add(row));
        let part = |parts: usize| self.tokens / parts;
        let into_reserve = all > self.tokens - part(RESERVED_PARTS) && own > part(LITTLE_PARTS);
        let beyond_half = held.others_wait && own > part(2);
        if held.own > 0 && (into_reserve || beyond_half) {
            Verdict::Share
        } else if all > self.tokens {
            Verdict::Full
        } else {
            Verdict::Fits
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(all: usize, own: usize, others_wait: bool) -> Reserved {
        Reserved { all, own, others_wait }
    }

    #[test]
    fn a_row_gets_a_quarter_or_a_short_reply_and_never_more_than_there_is() {
        // 8 GB of caches at 100 kB a token.
        let memory = CacheMemory::new(8_000_000_000, 100_000);
        assert_eq!((memory.tokens(), memory.bytes()), (80_000, 8_000_000_000));
        assert_eq!(memory.reply(100), 19_900);
        assert_eq!(memory.reply(19_900), SHORTEST_REPLY);
        assert_eq!(memory.reply(79_900), 100);
        assert_eq!(memory.reply(80_000), 0);
        assert_eq!(memory.reply(usize::MAX), 0);
        assert_eq!(CacheMemory::new(100, 0).tokens(), 100, "a model without layers");
    }

    #[test]
    fn a_client_leaves_room_to_others() {
        let memory = CacheMemory::new(800, 1);
        // Alone it gets three quarters.
        assert_eq!(memory.verdict(held(400, 400, false), 200), Verdict::Fits);
        assert_eq!(memory.verdict(held(400, 400, false), 201), Verdict::Share);
        // Half while others wait.
        assert_eq!(memory.verdict(held(200, 200, true), 200), Verdict::Fits);
        assert_eq!(memory.verdict(held(200, 200, true), 201), Verdict::Share);
        // The rest is for whoever has nothing yet, or little.
        assert_eq!(memory.verdict(held(600, 0, false), 200), Verdict::Fits);
        assert_eq!(memory.verdict(held(600, 50, true), 50), Verdict::Fits);
        assert_eq!(memory.verdict(held(600, 50, false), 51), Verdict::Share);
        // What isn't there is nobody's.
        assert_eq!(memory.verdict(held(600, 0, true), 201), Verdict::Full);
        assert_eq!(memory.verdict(held(790, 5, true), 11), Verdict::Full);
    }

    proptest! {
        #[test]
        fn whoever_fits_has_room_and_whoever_is_alone_fits(
            bytes in 0_usize..100_000,
            per_token in 0_usize..50,
            prompt in 0_usize..5000,
            all in 0_usize..5000,
            own in 0_usize..5000,
            others_wait: bool,
        ) {
            let memory = CacheMemory::new(bytes, per_token);
            let row = prompt + memory.reply(prompt);
            let held = Reserved { all, own: own.min(all), others_wait };
            if memory.verdict(held, row) == Verdict::Fits {
                prop_assert!(all + row <= memory.tokens());
            }
            if prompt <= memory.tokens() {
                let nothing = Reserved { all: 0, own: 0, others_wait };
                prop_assert_eq!(memory.verdict(nothing, row), Verdict::Fits);
            }
        }
    }
}
