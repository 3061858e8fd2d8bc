//! Guidelines in Markdown as views. Raw HTML stays text, and only web and mail addresses become links:
//! whatever an owner writes, no script runs in an annotator's browser.

use leptos::prelude::*;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

/// Markdown as it is meant to look.
#[component]
pub fn Markdown(
    /// The text.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    let mut events = Parser::new_ext(&text, Options::ENABLE_STRIKETHROUGH);
    view! { <div class="markdown">{inside(&mut events)}</div> }
}

/// Everything up to the end of the current element.
fn inside<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Vec<AnyView> {
    let mut views = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::Start(tag) => views.push(element(tag, events)),
            Event::End(_) => break,
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                views.push(text.into_string().into_any());
            }
            Event::Code(text) => views.push(view! { <code>{text.into_string()}</code> }.into_any()),
            Event::SoftBreak => views.push(" ".into_any()),
            Event::HardBreak => views.push(view! { <br/> }.into_any()),
            Event::Rule => views.push(view! { <hr/> }.into_any()),
            _ => {}
        }
    }
    views
}

fn element<'a>(tag: Tag<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> AnyView {
    let inner = inside(events);
    match tag {
        Tag::Paragraph => view! { <p>{inner}</p> }.into_any(),
        // The page has its own first and second headings.
        Tag::Heading { level: HeadingLevel::H1 | HeadingLevel::H2, .. } => {
            view! { <h3>{inner}</h3> }.into_any()
        }
        Tag::Heading { .. } => view! { <h4>{inner}</h4> }.into_any(),
        Tag::BlockQuote(_) => view! { <blockquote>{inner}</blockquote> }.into_any(),
        Tag::CodeBlock(_) => view! { <pre><code>{inner}</code></pre> }.into_any(),
        Tag::List(Some(start)) => view! { <ol start=start.to_string()>{inner}</ol> }.into_any(),
        Tag::List(None) => view! { <ul>{inner}</ul> }.into_any(),
        Tag::Item => view! { <li>{inner}</li> }.into_any(),
        Tag::Emphasis => view! { <em>{inner}</em> }.into_any(),
        Tag::Strong => view! { <strong>{inner}</strong> }.into_any(),
        Tag::Strikethrough => view! { <s>{inner}</s> }.into_any(),
        Tag::Link { dest_url, .. } if is_safe(&dest_url) => {
            view! { <a href=dest_url.into_string() rel="noreferrer noopener" target="_blank">{inner}</a> }
                .into_any()
        }
        // A picture from elsewhere would tell its host who annotates: its words have to do.
        _ => inner.into_any(),
    }
}

fn is_safe(address: &str) -> bool {
    ["https://", "http://", "mailto:"].iter().any(|start| address.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        view! { <Markdown text=text.to_owned()/> }.to_html()
    }

    #[test]
    fn words_become_elements() {
        let shown = html("# Judge\n\n- **kindly**\n- by [this](https://example.org)\n");
        for part in ["<h3>", "<strong>", "<li>", "href=\"https://example.org\""] {
            assert!(shown.contains(part), "{part} is missing: {shown}");
        }
    }

    #[test]
    fn nothing_in_guidelines_runs() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](data:text/html,alert)",
            "![x](https://example.org/p.png)",
        ] {
            let shown = html(text);
            for bad in ["<script", "<img", "javascript:", "data:text"] {
                assert!(!shown.contains(bad), "{bad} in {shown}");
            }
        }
    }
}
