//! Who answers: a chip per voice, and one editor for the chip that is open.

use domain::voice::Voice;
use leptos::prelude::*;

use super::choice::{adapter_choices, next_voice, with_culture};
use super::conversation::Conversation;
use super::record::Seat;
use crate::api::World;
use crate::browser;
use crate::components::{Glyph, Icon, VoiceTag};

/// The voices, with ways to add, change and remove them.
#[component]
pub fn VoiceBar(
    /// What can be chosen from.
    world: StoredValue<World>,
) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let editing = RwSignal::new(None::<u64>);
    let most = world.with_value(|world| world.max_voices);
    let full = Memo::new(move |_| conversation.seats.with(Vec::len) >= most);
    let add = move |_| {
        let seats = conversation.seats.get_untracked();
        let present: Vec<Voice> = seats.into_iter().map(|seat| seat.voice).collect();
        let voice = world.with_value(|world| next_voice(world, &present));
        editing.set(Some(conversation.join(voice)));
    };
    view! {
        <section class="voices" aria-label="Voices">
            <ul class="chips">
                <For each=move || conversation.seats.get() key=|seat| seat.id let:seat>
                    <Chip seat editing/>
                </For>
                <li>
                    <button type="button" class="chip add" data-testid="add-voice" on:click=add
                        disabled=move || full.get()
                        title=format!("At most {most} voices answer at once")>
                        <Icon glyph=Glyph::Add/>"Add a voice"
                    </button>
                </li>
            </ul>
            {move || {
                let seats = conversation.seats.get();
                let seat = editing.get().and_then(|id| seats.into_iter().find(|s| s.id == id));
                seat.map(|seat| view! { <Editor seat world editing/> })
            }}
        </section>
    }
    .into_any()
}

/// One voice: open its editor, or take it away.
#[component]
fn Chip(seat: Seat, editing: RwSignal<Option<u64>>) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let (id, label) = (seat.id, seat.voice.label());
    let open = Memo::new(move |_| editing.get() == Some(id));
    let alone = Memo::new(move |_| conversation.seats.with(Vec::len) < 2);
    view! {
        <li class="chip pair" data-voice=seat.voice.slug() data-testid="voice-chip">
            <button type="button" data-testid="change-voice" aria-expanded=move || open.get().to_string()
                aria-controls="voice-editor" title="Change this voice"
                on:click=move |_| editing.set(if open.get_untracked() { None } else { Some(id) })>
                <VoiceTag voice=seat.voice.clone()/>
            </button>
            <button type="button" class="remove" data-testid="remove-voice"
                aria-label=format!("Remove {label}") disabled=move || alone.get()
                on:click=move |_| conversation.remove(id)>
                <Icon glyph=Glyph::Remove/>
            </button>
        </li>
    }
}

/// Culture and adapter of one voice. A change makes it a new voice, without a past.
#[component]
fn Editor(seat: Seat, world: StoredValue<World>, editing: RwSignal<Option<u64>>) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let voice = StoredValue::new(seat.voice.clone());
    let replace = move |new: Voice, focus: &str| {
        if new != voice.get_value() {
            editing.set(Some(conversation.change(seat.id, new)));
            browser::focus_later(focus);
        }
    };
    let culture = move |event| {
        let code = event_target_value(&event).parse().ok();
        replace(
            world.with_value(|w| voice.with_value(|v| with_culture(w, v, code))),
            "voice-culture",
        );
    };
    let adapter = move |event| {
        let name = Some(event_target_value(&event)).filter(|name| !name.is_empty());
        replace(Voice { adapter: name, ..voice.get_value() }, "voice-adapter");
    };
    view! {
        <fieldset id="voice-editor" class="editor" data-testid="voice-editor">
            <legend>"Change " {seat.voice.label()}</legend>
            <label>
                "Speaks for "
                <select id="voice-culture" data-testid="voice-culture" on:change=culture>
                    <option value="" selected=seat.voice.culture.is_none()>"no culture (unaware)"</option>
                    {culture_options(world, &seat.voice)}
                </select>
            </label>
            <label>
                "Model "
                <select id="voice-adapter" data-testid="voice-adapter" on:change=adapter>
                    {adapter_options(world, &seat.voice)}
                </select>
            </label>
            <button type="button" class="quiet" on:click=move |_| editing.set(None)>"Done"</button>
        </fieldset>
    }
    .into_any()
}

fn culture_options(world: StoredValue<World>, voice: &Voice) -> Vec<impl IntoView + use<>> {
    let option = |culture: &domain::culture::Culture| {
        let (code, name) = (culture.code.to_string(), culture.name.clone());
        let selected = voice.culture == Some(culture.code);
        view! { <option value=code.clone() selected=selected>{format!("{code} · {name}")}</option> }
    };
    world.with_value(|world| world.cultures.iter().map(option).collect())
}

fn adapter_options(world: StoredValue<World>, voice: &Voice) -> Vec<impl IntoView + use<>> {
    let choices = world.with_value(|world| adapter_choices(world, voice.culture));
    choices
        .into_iter()
        .map(|(name, label)| {
            let selected = name == voice.adapter;
            view! { <option value=name.unwrap_or_default() selected=selected>{label}</option> }
        })
        .collect()
}
