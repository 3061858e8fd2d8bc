//! Line icons; always beside text or inside a control with a label of its own.

use leptos::prelude::*;

/// Which icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyph {
    /// Send the message.
    Send,
    /// Stop what runs.
    Stop,
    /// Once more.
    Again,
    /// Put on the clipboard.
    Copy,
    /// Take away.
    Remove,
    /// Add one.
    Add,
    /// A link to this place.
    Link,
}

impl Glyph {
    fn path(self) -> &'static str {
        match self {
            Self::Send => "M8 13V3M3.5 7.5 8 3l4.5 4.5",
            Self::Stop => "M4 4h8v8H4z",
            Self::Again => "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
            Self::Copy => "M6 6h7v7H6zM10 6V3H3v7h3",
            Self::Remove => "M4 4l8 8M12 4l-8 8",
            Self::Add => "M8 3v10M3 8h10",
            Self::Link => {
                "M7 9a3 3 0 0 0 4.2 0l2-2A3 3 0 0 0 9 2.8l-.8.8M9 7a3 3 0 0 0-4.2 0l-2 2A3 3 0 0 0 7 13.2l.8-.8"
            }
        }
    }
}

/// A 16-pixel icon in the colour of the text, hidden from screen readers.
#[component]
pub fn Icon(
    /// Which icon.
    glyph: Glyph,
) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <path d=glyph.path() fill="none" stroke="currentColor" stroke-width="1.6"
                stroke-linecap="round" stroke-linejoin="round"/>
        </svg>
    }
}
