//! The chat template of a model: Jinja from tokenizer_config.json, run as Hugging Face runs it.
//!
//! A template is a program from outside: its steps, its depth and the size of what it writes are
//! bounded, so that one that never ends is refused. Turning the text into tokens is
//! [`super::tokenizer`]'s work.

use std::error::Error;
use std::io;

use domain::prompt::{Message, Role};
use minijinja::{Environment, ErrorKind, Value, context};
use time::OffsetDateTime;
use time::format_description::parse_strftime_owned;

use super::error::EngineError;

/// Instructions that a template may run; the longest published one needs a few hundred per message.
const FUEL: u64 = 200_000;
/// More of them per message.
const FUEL_PER_MESSAGE: u64 = 20_000;
/// Nested calls of macros and includes.
const DEPTH: usize = 64;
/// Bytes that a template may write beside the messages.
const OVERHEAD: usize = 1 << 20;

const NAME: &str = "chat_template";

/// A parsed template with the names of the model's special tokens.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    specials: Vec<(String, String)>,
    /// Whether the template knows no system messages, as Gemma 2's: what such a message says then goes
    /// before the first message of the user.
    folds_system: bool,
}

impl ChatTemplate {
    /// Parses `source`; `specials` are variables such as `bos_token`.
    ///
    /// # Errors
    /// [`EngineError::Template`] on a syntax error.
    pub fn new(source: String, specials: Vec<(String, String)>) -> Result<Self, EngineError> {
        let source = without_markers(&source);
        let mut template = Self { source, specials, folds_system: false };
        template.environment(0)?;
        template.folds_system = template.knows_no_system();
        Ok(template)
    }

    /// Whether a system message is refused or left out, while one of the user alone is written.
    fn knows_no_system(&self) -> bool {
        let messages = [Message::new(Role::System, "Rule-7"), Message::new(Role::User, "Hi-7")];
        let written = |messages: &[Message], part| {
            self.render(messages, true).is_ok_and(|text| text.contains(part))
        };
        !written(&messages, "Rule-7") && written(&messages[1..], "Hi-7")
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The prompt for `messages`; `add_generation_prompt` opens the assistant's turn.
    ///
    /// # Errors
    /// [`EngineError::Template`] if the template raises an exception or goes beyond its bounds.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, EngineError> {
        let folded = if self.folds_system { fold_system(messages) } else { None };
        let messages = folded.as_deref().unwrap_or(messages);
        let environment = self.environment(messages.len())?;
        let template = environment.get_template(NAME).map_err(|error| refuse(&error))?;
        let turns: Vec<Value> = messages
            .iter()
            .map(|message| {
                let role = match message.role {
                    Role::System => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                };
                context! { role, content => message.content.as_str() }
            })
            .collect();
        let variables = context! {
            messages => turns,
            add_generation_prompt,
            tools => Value::from(()),
            documents => Value::from(()),
            ..self.specials.iter().map(|(name, token)| (name.as_str(), token.as_str())).collect::<Value>()
        };
        let size: usize = messages.iter().map(|message| message.content.len()).sum();
        let mut text = Bounded { bytes: Vec::new(), limit: OVERHEAD + 4 * size };
        template
            .render_captured_to(variables, &mut text)
            .map(drop)
            .map_err(|error| refuse(&error))?;
        String::from_utf8(text.bytes).map_err(|error| refuse(&error))
    }

    fn environment(&self, messages: usize) -> Result<Environment<'_>, EngineError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL + FUEL_PER_MESSAGE * messages as u64));
        environment.set_recursion_limit(DEPTH);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_template(NAME, &self.source).map_err(|error| refuse(&error))?;
        Ok(environment)
    }
}

/// The messages with what the first, a system message, says before the first of the user; `None` where
/// there are no two such messages.
fn fold_system(messages: &[Message]) -> Option<Vec<Message>> {
    let (system, rest) = messages.split_first()?;
    let user = rest.first()?;
    if system.role != Role::System || user.role != Role::User {
        return None;
    }
    let content = format!("{}\n\n{}", system.content.trim_end(), user.content);
    let mut folded = vec![Message::new(Role::User, content)];
    folded.extend_from_slice(&rest[1..]);
    Some(folded)
}

/// Leaves out the tags `{% generation %}` and `{% endgeneration %}`: Hugging Face's own, they mark what an
/// assistant says for those who train on it, and write nothing.
fn without_markers(source: &str) -> String {
    let mut kept = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        kept.push_str(before);
        let inner = tag.trim_start_matches("{%").trim_end_matches("%}");
        match inner.trim_matches(['-', '+', ' ', '\t', '\n']) {
            // In the place of the tag one that writes nothing either, and trims the same space.
            "generation" => kept.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => kept.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => kept.push_str(tag),
        }
        rest = after;
    }
    kept + rest
}

fn refuse(error: &dyn Error) -> EngineError {
    let source = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
    // One line: the second line of a message is the hint.
    let reason = format!("{error}{source}").lines().map(str::trim).collect::<Vec<_>>().join(" ");
    EngineError::Template { reason }
}

fn raise_exception(reason: String) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
}

/// Today's date in UTC, in C's notation.
fn strftime_now(format: &str) -> Result<String, minijinja::Error> {
    let invalid = |error: &dyn std::fmt::Display| {
        minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string())
    };
    let format = parse_strftime_owned(format).map_err(|error| invalid(&error))?;
    OffsetDateTime::now_utc().format(&format).map_err(|error| invalid(&error))
}

/// A buffer that refuses to grow beyond its limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other(format!("it writes more than {} bytes", self.limit)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<Message> {
        vec![Message::new(Role::System, " You are kind. "), Message::new(Role::User, "Hi")]
    }

    fn render(source: &str) -> Result<String, EngineError> {
        let specials = vec![("bos_token".to_owned(), "<s>".to_owned())];
        ChatTemplate::new(source.to_owned(), specials)?.render(&messages(), true)
    }

    #[test]
    fn renders_as_hugging_face_does() {
        for (source, text) in [
            // Blocks leave neither their indentation nor their line break behind.
            (
                "{{ bos_token }}\n  {% for m in messages %}\n{{ m.role }};\n  {% endfor %}\nend",
                "<s>\nsystem;\nuser;\nend",
            ),
            ("{{ messages[0]['content'] | trim }}", "You are kind."),
            ("{{ messages[0].content.strip().upper() }}", "YOU ARE KIND."),
            ("{% if not tools %}{{ messages[1:] | length }}{% endif %}", "1"),
            (
                "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% break %}{% endfor %}",
                "Hi",
            ),
            (
                "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
                "2",
            ),
            ("{% if add_generation_prompt %}<a>{% endif %}", "<a>"),
            ("{{ messages[1] | tojson }}", r#"{"role":"user","content":"Hi"}"#),
            ("{{ strftime_now('%Y') | length }}", "4"),
        ] {
            assert_eq!(render(source).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn tags_for_training_write_nothing() {
        for (source, text) in [
            ("a {% generation %}b{% endgeneration %} c", "a b c"),
            ("a {%- generation -%} b {%- endgeneration -%} c", "abc"),
            ("{% if true %}a\n  {% generation %}\nb{% endgeneration %}{% endif %}", "a\nb"),
            ("{{ '{% generation' }}", "{% generation"),
            ("{% set generation = 3 %}{{ generation }}", "3"),
        ] {
            assert_eq!(render(source).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn a_template_without_a_system_role_has_it_before_the_users_words() {
        let refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        let ignores = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        for source in [refuses, ignores] {
            assert_eq!(render(source).as_deref(), Ok("<user> You are kind.\n\nHi"), "{source}");
        }
        let knows = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        assert_eq!(render(knows).as_deref(), Ok("<system> You are kind. <user>Hi"));
        let template = ChatTemplate::new(refuses.to_owned(), vec![]).unwrap();
        let only = [Message::new(Role::System, "Be kind."), Message::new(Role::Assistant, "Yes")];
        assert!(template.render(&only, true).is_err(), "there is nobody to tell it to");
    }

    #[test]
    fn refuses_what_fails_or_never_ends() {
        let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}";
        let deep = "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}";
        let wide = "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for a in range(20) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}";
        for (source, reason) in [
            ("{% for m in messages %}", "end"),
            ("{{ raise_exception('no system messages') }}", "no system messages"),
            (nested, "fuel"),
            (deep, "recursion"),
            (wide, "bytes"),
        ] {
            let error = render(source).unwrap_err().to_string();
            assert!(error.contains(reason), "{source}: {error}");
            assert_eq!(error.lines().count(), 2, "{error}");
        }
    }
}
