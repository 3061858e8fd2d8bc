//! Deep links: the address of a conversation, so that opening it asks the same of the same voices.
//!
//! Text in, text out; the address bar is in [`crate::browser`].

use domain::voice::Voice;

/// Longest query that is still put into the address bar, in bytes; servers refuse longer ones.
pub const LONGEST_QUERY: usize = 6000;

/// What a Talk address holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeepLink {
    /// Who answers, in order; empty for the default.
    pub voices: Vec<Voice>,
    /// Seed of the replies.
    pub seed: Option<u64>,
    /// Temperature of the replies.
    pub temperature: Option<f64>,
    /// The person's messages, in order.
    pub messages: Vec<String>,
}

impl DeepLink {
    /// The query, without `?`: `voices=unaware,THA&seed=7&t=0.6&q=Hello`.
    pub fn encode(&self) -> String {
        let mut fields = Vec::new();
        if !self.voices.is_empty() {
            let slugs: Vec<String> = self.voices.iter().map(|v| escape(&v.slug())).collect();
            fields.push(format!("voices={}", slugs.join(",")));
        }
        fields.extend(self.seed.map(|seed| format!("seed={seed}")));
        fields.extend(self.temperature.map(|temperature| format!("t={temperature}")));
        fields.extend(self.messages.iter().map(|message| format!("q={}", escape(message))));
        fields.join("&")
    }

    /// Reads a query; what is not understood is left out rather than refused.
    pub fn decode(query: &str) -> Self {
        let mut link = Self::default();
        for field in query.trim_start_matches('?').split('&') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            match name {
                "voices" => {
                    link.voices =
                        value.split(',').filter_map(|v| Voice::from_slug(&unescape(v))).collect();
                }
                "seed" => link.seed = value.parse().ok(),
                "t" => link.temperature = value.parse().ok().filter(|t| (0.0..=2.0).contains(t)),
                "q" if !value.is_empty() => link.messages.push(unescape(value)),
                _ => {}
            }
        }
        link
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, section 2.3.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Undoes [`escape`]; a `+` stands for a space, as forms write it, and broken escapes stay as they are.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let escaped = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escaped) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn voice() -> impl Strategy<Value = Voice> {
        let code = "[A-Z]{3}".prop_map(|code| code.parse().unwrap());
        prop_oneof![
            Just(Voice::unaware()),
            code.clone().prop_map(Voice::aware),
            (code, "[a-zA-Z0-9 ,&+=%-]{1,12}").prop_map(|(c, a)| Voice::adapted(c, a)),
        ]
    }

    proptest! {
        #[test]
        fn opens_what_it_wrote(
            voices in prop::collection::vec(voice(), 0..7),
            seed in any::<Option<u64>>(),
            temperature in prop::option::of((0u8..=20).prop_map(|t| f64::from(t) / 10.0)),
            messages in prop::collection::vec(".{1,40}", 0..4),
        ) {
            let link = DeepLink { voices, seed, temperature, messages };
            prop_assert_eq!(DeepLink::decode(&link.encode()), link);
        }

        #[test]
        fn any_query_is_read(query in ".*") {
            DeepLink::decode(&query);
        }
    }

    #[test]
    fn addresses_stay_readable() {
        let thai = "THA".parse().unwrap();
        let link = DeepLink {
            voices: vec![Voice::unaware(), Voice::adapted(thai, "joint")],
            seed: Some(7),
            temperature: Some(0.6),
            messages: vec!["What matters?".to_owned()],
        };
        assert_eq!(link.encode(), "voices=unaware,THA%2Bjoint&seed=7&t=0.6&q=What%20matters%3F");
        assert_eq!(
            DeepLink::decode("?q=a+b&t=9&voices=THA,oops"),
            DeepLink {
                voices: vec![Voice::aware(thai)],
                messages: vec!["a b".to_owned()],
                ..Default::default()
            }
        );
    }
}
