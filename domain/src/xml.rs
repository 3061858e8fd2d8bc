//! Text inside XML: charts and the settings of other tools are XML files with people's words in them.

/// `text` as it may stand between tags and in an attribute's double quotes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            // XML 1.0 has no other control characters, not even escaped.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_words_stay_words() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{7}é"), "a&lt;b&gt; &amp; &quot;c&quot;  é");
    }
}
