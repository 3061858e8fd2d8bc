//! Reads server-sent events from bytes that arrive in arbitrary pieces.
//!
//! Only the `data` field matters to us (WHATWG HTML, "Server-sent events", section 9.2.6). Bytes in,
//! texts out; no network here.

/// Splits a byte stream into the data of its events.
#[derive(Debug, Default)]
pub struct Parser {
    /// Bytes of a line whose end has not come yet.
    line: Vec<u8>,
    /// Data lines of the event so far.
    data: Vec<String>,
    /// The last byte was a carriage return: a line feed right after it ends no further line.
    after_return: bool,
}

impl Parser {
    /// Takes the next bytes and returns the data of every event that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
            self.after_return = byte == b'\r';
        }
        events
    }

    /// Handles a complete line; an empty one completes an event.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then(|| data.join("\n"));
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            self.data.push(value.strip_prefix(' ').unwrap_or(value).to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_fields_comments_and_line_ends() {
        for (wire, expect) in [
            ("data: one\n\n", vec!["one"]),
            ("data:one\r\n\r\ndata: two\r\r", vec!["one", "two"]),
            (": keep-alive\n\ndata: x\n\n", vec!["x"]),
            ("event: text\nid: 3\ndata: a\ndata: b\n\n", vec!["a\nb"]),
            ("data:  two spaces\n\n", vec![" two spaces"]),
            ("data: unfinished\n", vec![]),
            ("data\n\n", vec![""]),
        ] {
            assert_eq!(Parser::default().push(wire.as_bytes()), expect, "{wire:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            texts in prop::collection::vec("[^\r\n]{0,20}", 0..6),
            cuts in prop::collection::vec(1usize..9, 1..40),
            end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        ) {
            let wire: String = texts.iter().map(|t| format!("data: {t}{end}: note{end}{end}")).collect();
            let mut parser = Parser::default();
            let mut rest = wire.as_bytes();
            let mut events = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                events.extend(parser.push(piece));
                rest = left;
            }
            prop_assert_eq!(events, texts);
        }
    }
}
