//! How people really type: contractions, lower case, missing marks, a slip now and then.

use domain::random::SplitMix64;

const CONTRACTIONS: [(&str, &str); 12] = [
    ("What is ", "What's "),
    ("I am ", "I'm "),
    ("do not ", "don't "),
    ("does not ", "doesn't "),
    ("cannot ", "can't "),
    ("It is ", "It's "),
    ("that is ", "that's "),
    ("I would like", "I'd like"),
    ("favourite", "favorite"),
    ("neighbour", "neighbor"),
    ("Tell me", "tell me"),
    ("How is ", "How's "),
];

/// `text` as somebody might type it; mostly unchanged.
pub fn typed(text: &str, rng: &mut SplitMix64) -> String {
    let mut text = text.to_owned();
    if rng.unit() < 0.3 {
        for (from, to) in CONTRACTIONS {
            text = text.replace(from, to);
        }
    }
    if rng.unit() < 0.04 {
        text = slip(&text, rng);
    }
    match rng.unit() {
        draw if draw < 0.16 => bare(&text.to_lowercase()),
        draw if draw < 0.24 => bare(&text),
        draw if draw < 0.28 => text.to_lowercase(),
        _ => text,
    }
}

/// Without the mark at the end, unless that is all there is.
fn bare(text: &str) -> String {
    let bare = text.trim_end_matches(['.', '?', '!']);
    if bare.is_empty() { text.to_owned() } else { bare.to_owned() }
}

/// Swaps or drops one letter inside a long word.
fn slip(text: &str, rng: &mut SplitMix64) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let chosen = rng.below(words.len());
    let mut letters: Vec<char> = words[chosen].chars().collect();
    if letters.len() >= 5 {
        let at = 1 + rng.below(letters.len() - 3);
        if rng.unit() < 0.5 {
            letters.swap(at, at + 1);
        } else {
            letters.remove(at);
        }
    }
    words[chosen] = letters.into_iter().collect();
    words.join(" ")
}
