//! The chat template of a model: Jinja from tokenizer_config.json, run as Hugging Face runs it.
//!
//! A template is a program from outside. Its steps, its calls within calls and the size of what it
//! writes are bounded by its interpreter. What the interpreter doesn't bound, the size of its values and
//! the time of a single step, is bounded by [`super::confined`], where it runs: one that asks for too much
//! or doesn't end is refused, and not run again. Turning the text into tokens is
//! [`super::tokenizer`]'s work.

use std::error::Error;
use std::io;
use std::sync::Arc;

use domain::prompt::{Message, Role};
use minijinja::{Environment, ErrorKind, Value, context};
use time::OffsetDateTime;
use time::format_description::parse_strftime_owned;

use super::confined::Confined;
use super::error::EngineError;
use super::python_json::tojson;

/// Instructions that a template may run; the longest published one needs a few hundred per message.
const FUEL: u64 = 200_000;
/// More of them per message.
const FUEL_PER_MESSAGE: u64 = 5_000;
/// Never more, so that values aren't nested deeper than the stack allows, a step at a time.
const MOST_FUEL: u64 = 1_000_000;
/// Nested calls of macros and includes.
const DEPTH: usize = 64;
/// Bytes that a template may write beside the messages.
const OVERHEAD: usize = 1 << 20;
/// Bytes that it may hold at a time, parsed and with all its values, beside what it makes of messages.
const MEMORY: usize = 64 << 20;
/// More of them per byte of a message.
const MEMORY_PER_BYTE: usize = 32;
/// Longest template in bytes; published ones have up to 30,000.
const LONGEST: usize = 256 << 10;

const NAME: &str = "chat_template";

/// A parsed template with the names of the model's special tokens.
#[derive(Debug)]
pub struct ChatTemplate {
    program: Arc<Program>,
    confined: Confined,
    /// Whether the template knows no system messages, as Gemma 2's: what such a message says then goes
    /// before the first message of the user.
    folds_system: bool,
}

/// What is handed to the thread that runs the template.
#[derive(Debug)]
struct Program {
    source: String,
    specials: Vec<(String, String)>,
}

impl ChatTemplate {
    /// Parses `source`; `specials` are variables such as `bos_token`.
    ///
    /// # Errors
    /// [`EngineError::Template`] on a syntax error, or if the template is too long, or asks for too
    /// much or doesn't end with a short conversation.
    pub fn new(source: String, specials: Vec<(String, String)>) -> Result<Self, EngineError> {
        if source.len() > LONGEST {
            let reason = format!("it has {} bytes, more than {LONGEST}", source.len());
            return Err(EngineError::Template { reason });
        }
        let source = without_markers(&source);
        // What minijinja makes once for the whole process must not be begun by a thread that may be stopped.
        drop(Environment::new().render_str("{{ 1 }}", ()));
        let program = Arc::new(Program { source, specials });
        let mut template = Self { program, confined: Confined::default(), folds_system: false };
        // Parsing computes what is constant, so it may ask for as much as running.
        template.run(0, |program| program.environment(0).map(drop))?;
        template.folds_system = template.knows_no_system()?;
        Ok(template)
    }

    /// Whether a system message is refused or left out, while one of the user alone is written.
    fn knows_no_system(&self) -> Result<bool, EngineError> {
        let messages = [Message::new(Role::System, "Rule-7"), Message::new(Role::User, "Hi-7")];
        let written = |messages: &[Message], part| match self.render(messages, true) {
            Ok(text) => Ok(text.contains(part)),
            Err(error) if self.confined.is_stuck() => Err(error),
            Err(_) => Ok(false),
        };
        Ok(!written(&messages, "Rule-7")? && written(&messages[1..], "Hi-7")?)
    }

    /// What `work` makes of the template, with memory for messages of so many bytes.
    fn run<T: Send + 'static>(
        &self,
        message_bytes: usize,
        work: impl FnOnce(&Program) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let program = Arc::clone(&self.program);
        let memory = MEMORY.saturating_add(MEMORY_PER_BYTE.saturating_mul(message_bytes));
        self.confined
            .run(memory, move || work(&program))
            .unwrap_or_else(|refusal| Err(EngineError::Template { reason: refusal.to_string() }))
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.program.source
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
        let messages = folded.unwrap_or_else(|| messages.to_vec());
        let size = messages.iter().map(|message| message.content.len()).sum();
        self.run(size, move |program| program.render(&messages, size, add_generation_prompt))
    }
}

impl Program {
    /// [`ChatTemplate::render`] on the thread that may; `size` is that of the messages in bytes.
    fn render(
        &self,
        messages: &[Message],
        size: usize,
        add_generation_prompt: bool,
    ) -> Result<String, EngineError> {
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
        let fuel = FUEL + FUEL_PER_MESSAGE * messages as u64;
        environment.set_fuel(Some(fuel.min(MOST_FUEL)));
        environment.set_recursion_limit(DEPTH);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
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
            ("{{ messages[1] | tojson }}", r#"{"role": "user", "content": "Hi"}"#),
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
    fn what_asks_for_too_much_is_refused() {
        let doubling = |start: &str, step: &str, times: usize| {
            format!(
                "{{% set ns = namespace(s={start}) %}}{{% for a in range({times}) %}}\
                 {{% set ns.s = {step} %}}{{% endfor %}}{{{{ ns.s | length }}}}"
            )
        };
        let captured = "{% set a = 'xxxxxxxxxxxxxxxx' %}".to_owned()
            + &"{% set a %}{{ a }}{{ a }}{{ a }}{{ a }}{% endset %}".repeat(20);
        for source in [
            "{{ 'x' | indent(1000000000000) }}".to_owned(),
            "{{ messages | tojson(indent=1000000000000) }}".to_owned(),
            "{{ '%1000000000000d' | format(3) }}".to_owned(),
            "{{ 'x' | indent(1000000000000, true, true) }}".to_owned(),
            doubling("'xxxxxxxxxxxxxxxx'", "ns.s + ns.s", 40),
            doubling("'xxxxxxxxxxxxxxxx'", "ns.s ~ ns.s", 40),
            doubling("'x'", "ns.s | replace('x', 'xxxxxxxxxxxxxxxx')", 20),
            "{% for a in range(40000) %}{% set b = 'x' * 100000000 %}{% endfor %}".to_owned(),
            "{{ 'x' * 90000000 }}".to_owned(),
            captured,
        ] {
            let error = render(&source).unwrap_err();
            assert_eq!(error.code(), "chat-template", "{source}");
            let error = error.to_string();
            assert!(["memory", "than"].iter().any(|why| error.contains(why)), "{source}: {error}");
            assert_eq!(error.lines().count(), 2, "{source}: {error}");
        }
    }

    #[test]
    fn what_does_not_end_is_refused() {
        // Every step is within bounds, and takes long; all of them would take minutes.
        let slow =
            "{% for a in range(40000) %}{% set b = messages[0].role * 3000000 %}{% endfor %}";
        let error = render(slow).unwrap_err().to_string();
        assert!(error.contains("doesn't end within") && error.lines().count() == 2, "{error}");
    }

    #[test]
    fn what_is_nested_deep_is_dropped() {
        let deep = "{% set ns = namespace(s=[]) %}{% for a in range(9000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | length }}";
        assert_eq!(render(deep).as_deref(), Ok("1"));
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
