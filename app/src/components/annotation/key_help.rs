//! The keys, shown and editable.

use domain::annotation::Label;
use leptos::prelude::*;

use super::desk::Desk;
use super::keys::{Keys, fixed};

/// Which key does what, while `open`.
#[component]
pub fn KeyHelp(
    /// The project, for its labels.
    desk: Desk,
    /// The keys.
    keys: RwSignal<Keys>,
    /// Whether they are shown.
    open: RwSignal<bool>,
) -> impl IntoView {
    let refusal = RwSignal::new(None::<String>);
    let labels = Memo::new(move |_| desk.labels());
    let entries = move || {
        let all = labels.get();
        let entry = |(place, label)| entry(all.clone(), place, label, keys, refusal);
        all.iter().enumerate().map(entry).collect_view()
    };
    view! {
        <section class="key-help" aria-label="Keys" data-testid="keys" hidden=move || !open.get()>
            <h2>"Keys"</h2>
            <dl>
                {entries}
                {fixed().map(|(key, what)| view! {
                    <div><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>
                }).collect_view()}
            </dl>
            {move || refusal.get().map(|text| view! {
                <p class="error" role="alert">{text}</p>
            })}
        </section>
    }
    .into_any()
}

fn entry(
    labels: Vec<Label>,
    place: usize,
    label: &Label,
    keys: RwSignal<Keys>,
    refusal: RwSignal<Option<String>>,
) -> impl IntoView + use<> {
    let (id, name) = (label.id.clone(), label.name.clone());
    let shown = {
        let labels = labels.clone();
        move || keys.with(|keys| keys.of(&labels, place))
    };
    let change = move |event: leptos::ev::Event| {
        let given = event_target_value(&event);
        let result = keys.try_update(|keys| keys.give(&labels, &id, &given));
        refusal.set(result.and_then(Result::err));
        keys.with_untracked(Keys::keep);
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
