//! The keys, shown and editable.

use domain::annotation::Label;
use leptos::prelude::*;

use super::desk::Desk;
use super::keys::{Bindings, Command, Keys, Meaning};
use crate::browser;

/// Which key does what, while `open`.
#[component]
pub fn KeyHelp(
    /// The project, for its labels.
    desk: Desk,
    /// The keys that were given.
    keys: RwSignal<Keys>,
    /// What they mean here.
    bindings: Memo<Bindings>,
    /// Whether they are shown.
    open: RwSignal<bool>,
) -> impl IntoView {
    let refusal = RwSignal::new(None::<String>);
    let labels = Memo::new(move |_| desk.labels());
    let edited = Edited { keys, bindings, labels, refusal };
    let of_labels = move || {
        let entry = |label: Label| edited.entry(Meaning::Label(label.id), label.name);
        labels.get().into_iter().map(entry).collect_view()
    };
    let of_command =
        |command: Command| edited.entry(Meaning::Command(command), command.title().to_owned());
    let reset = move |_| {
        keys.set(Keys::default());
        keys.with_untracked(Keys::keep);
        refusal.set(None);
    };
    view! {
        <section class="key-help" aria-label="Keys" data-testid="keys" hidden=move || !open.get()>
            <h2>"Keys"</h2>
            <dl>{of_labels}{Command::ALL.map(of_command).collect_view()}</dl>
            {move || refusal.get().map(|text| view! {
                <p class="error" role="alert">{text}</p>
            })}
            <Show when=move || keys.with(Keys::is_changed)>
                <button type="button" class="quiet" data-testid="reset-keys" on:click=reset>
                    "As they were at first"
                </button>
            </Show>
        </section>
    }
    .into_any()
}

/// The keys while they are changed; a handle that can be copied.
#[derive(Clone, Copy)]
struct Edited {
    keys: RwSignal<Keys>,
    bindings: Memo<Bindings>,
    labels: Memo<Vec<Label>>,
    refusal: RwSignal<Option<String>>,
}

impl Edited {
    fn entry(self, meaning: Meaning, name: String) -> impl IntoView + use<> {
        let of = meaning.clone();
        let shown = move || self.bindings.with(|bindings| bindings.key(&of));
        let change = move |event: leptos::ev::Event| {
            let given = event_target_value(&event);
            let labels = self.labels.get_untracked();
            let result = self.keys.try_update(|keys| keys.give(&labels, &meaning, &given));
            self.refusal.set(result.and_then(Result::err));
            self.keys.with_untracked(Keys::keep);
            // What was refused doesn't stay in the field.
            let now = self.bindings.with_untracked(|bindings| bindings.key(&meaning));
            browser::show_in_field(&event, &now);
        };
        view! {
            <div>
                <dt>
                    <input class="key" type="text" maxlength="1" autocomplete="off" data-testid="key"
                        aria-label=format!("Key for {name}") prop:value=shown on:change=change/>
                </dt>
                <dd>{name}</dd>
            </div>
        }
    }
}
