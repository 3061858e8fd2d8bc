//! A voice's name with its culture's colour.

use domain::voice::Voice;
use leptos::prelude::*;

use crate::color;

/// Swatch and label: `THA · joint`.
#[component]
pub fn VoiceTag(
    /// Who.
    voice: Voice,
) -> impl IntoView {
    view! {
        <span class="voice-tag" style=color::style(voice.culture)>
            <span class="swatch" aria-hidden="true"></span>
            {voice.label()}
        </span>
    }
}
