//! Judging: one item at a time, by buttons or keys.

use domain::annotation::{Item, LabelId, Member, SkipReason};
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

use super::comments::Comments;
use super::desk::Desk;
use super::item::{ItemText, Options};
use super::key_help::KeyHelp;
use super::keys::{Keys, Meaning, Pressed};
use super::markdown::Markdown;
use super::my_cultures::MyCultures;
use crate::browser;

/// The current item with everything that can be done to it; a handle that can be copied.
#[derive(Clone, Copy)]
struct Judging {
    desk: Desk,
    current: Memo<Option<Item>>,
    chosen: RwSignal<Option<u32>>,
    keys: RwSignal<Keys>,
    skipping: RwSignal<bool>,
    help: RwSignal<bool>,
}

impl Judging {
    fn judge(self, label: LabelId) {
        self.desk.judge(label, self.chosen.get_untracked());
        self.settle();
    }

    fn skip(self, reason: SkipReason) {
        self.desk.skip(reason);
        self.settle();
    }

    fn undo(self) {
        self.desk.undo();
        self.settle();
    }

    fn settle(self) {
        self.chosen.set(None);
        self.skipping.set(false);
    }

    /// Moves the choice among the options.
    fn choose(self, by: i32) {
        let Some(item) = self.current.get_untracked() else { return };
        let count = item.question.options.len() as i32;
        let place = self.chosen.get_untracked().and_then(|number| item.question.index_of(number));
        let next = match place {
            Some(place) => (place as i32 + by).rem_euclid(count.max(1)),
            None if by > 0 => 0,
            None => count - 1,
        };
        self.chosen.set(Some(item.question.number_of(next.unsigned_abs() as usize)));
    }

    fn hear(self, event: &KeyboardEvent) {
        let combined = event.ctrl_key() || event.meta_key() || event.alt_key();
        // A key that is held down says what it says once.
        if combined || event.repeat() || is_writing() {
            return;
        }
        let labels = untrack(|| self.desk.labels());
        let pressed = Pressed { key: event.key(), code: event.code(), shift: event.shift_key() };
        let meaning = self.keys.with_untracked(|keys| keys.meaning(&labels, &pressed));
        let Some(meaning) = meaning else { return };
        event.prevent_default();
        match meaning {
            Meaning::Label(label) => self.judge(label),
            Meaning::Undo => self.undo(),
            Meaning::Skip => self.skipping.update(|skipping| *skipping = !*skipping),
            Meaning::Comment => browser::focus("comment"),
            Meaning::Help => self.help.update(|help| *help = !*help),
            Meaning::Option(by) => self.choose(by),
        }
    }
}

/// Whether a key belongs to a text that is being written.
fn is_writing() -> bool {
    document().active_element().is_some_and(|element| {
        let kind = element.get_attribute("type");
        match element.tag_name().as_str() {
            "TEXTAREA" | "SELECT" => true,
            "INPUT" => !matches!(kind.as_deref(), Some("radio" | "checkbox")),
            _ => false,
        }
    })
}

/// What an annotator works at. Only in the browser.
#[component]
pub fn Judge(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let judging = Judging {
        desk,
        current: Memo::new(move |_| desk.queue.with(|queue| queue.front().cloned())),
        chosen: RwSignal::new(None),
        keys: RwSignal::new(Keys::load()),
        skipping: RwSignal::new(false),
        help: RwSignal::new(false),
    };
    let listener = window_event_listener(leptos::ev::keydown, move |event| judging.hear(&event));
    on_cleanup(move || listener.remove());
    let guidelines = Memo::new(move |_| desk.settings.with(|s| s.guidelines.clone()));
    view! {
        <div class="judge">
            <Show when=move || !guidelines.with(String::is_empty)>
                <details class="guidelines" data-testid="guidelines">
                    <summary>"Guidelines"</summary>
                    {move || view! { <Markdown text=guidelines.get()/> }}
                </details>
            </Show>
            {move || match judging.current.get() {
                Some(item) => view! { <Current judging item/> }.into_any(),
                None => view! { <Nothing desk/> }.into_any(),
            }}
            <Last judging/>
            <KeyHelp desk keys=judging.keys open=judging.help/>
        </div>
    }
    .into_any()
}

#[component]
fn Current(judging: Judging, item: Item) -> impl IntoView {
    let id = item.id.clone();
    view! {
        <article class="item" data-testid="item" data-item=id.to_string() aria-label="Item to judge">
            <ItemText item=item.clone()/>
            <Options item chosen=judging.chosen/>
        </article>
        <Labels judging/>
        <Show when=move || judging.skipping.get()><Reasons judging/></Show>
        <Comments desk=judging.desk item=id/>
    }
    .into_any()
}

#[component]
fn Labels(judging: Judging) -> impl IntoView {
    let desk = judging.desk;
    let labels = Memo::new(move |_| desk.labels());
    let button = move |(place, label): (usize, domain::annotation::Label)| {
        let id = label.id.clone();
        view! {
            <button type="button" class="label-button" data-testid="label" data-label=id.to_string()
                title=label.explanation on:click=move |_| judging.judge(id.clone())>
                <kbd aria-hidden="true">{move || {
                    labels.with(|all| judging.keys.with(|keys| keys.of(all, place)))
                }}</kbd>
                {label.name}
            </button>
        }
    };
    view! {
        <p class="asked-of" id="asked-of">"Is the framed answer right for this culture?"</p>
        <div class="label-bar" role="group" aria-labelledby="asked-of">
            {move || labels.get().into_iter().enumerate().map(button).collect_view()}
            <button type="button" class="label-button quiet-label" data-testid="skip"
                aria-expanded=move || judging.skipping.get().to_string()
                on:click=move |_| judging.skipping.update(|skipping| *skipping = !*skipping)>
                <kbd aria-hidden="true">"s"</kbd>"Skip"
            </button>
        </div>
    }
    .into_any()
}

#[component]
fn Reasons(judging: Judging) -> impl IntoView {
    let button = move |reason: SkipReason| {
        view! {
            <button type="button" class="chip" data-testid="skip-reason"
                on:click=move |_| judging.skip(reason)>{reason.title()}</button>
        }
    };
    view! {
        <div class="reasons" role="group" aria-label="Why do you skip this item?">
            <p class="meta">"Why do you skip it?"</p>
            <div class="chips">{SkipReason::ALL.map(button).collect_view()}</div>
        </div>
    }
}

/// What was done last, and the way back.
#[component]
fn Last(judging: Judging) -> impl IntoView {
    let desk = judging.desk;
    let link =
        move |item: &Item| format!("?view=items&item={}", crate::link::escape(item.id.as_str()));
    view! {
        <div class="last">
            {move || desk.judged.get().map(|item| view! {
                <button type="button" class="outlined" data-testid="undo" on:click=move |_| judging.undo()>
                    <kbd aria-hidden="true">"u"</kbd>"Take the last one back"
                </button>
                <a class="meta" href=link(&item) data-testid="last-judged">"See what others say of it"</a>
            })}
            <button type="button" class="quiet" data-testid="show-keys"
                aria-expanded=move || judging.help.get().to_string()
                on:click=move |_| judging.help.update(|help| *help = !*help)>
                <kbd aria-hidden="true">"?"</kbd>"Keys"
            </button>
        </div>
    }
    .into_any()
}

/// Why there is nothing to judge here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    LooksOn,
    NoCulture,
    Exhausted,
    Fetching,
}

#[component]
fn Nothing(desk: Desk) -> impl IntoView {
    // A memo: what is being chosen stays while others come and go.
    let reason = Memo::new(move |_| {
        let member = desk.member();
        let of = |test: fn(&Member) -> bool| member.as_ref().is_some_and(test);
        match desk.exhausted.get() {
            _ if of(|member| !member.role.judges()) => Reason::LooksOn,
            _ if of(|member| member.cultures.is_empty()) => Reason::NoCulture,
            true => Reason::Exhausted,
            false => Reason::Fetching,
        }
    });
    view! {
        <div class="welcome" data-testid="nothing-to-judge">
            {move || match reason.get() {
                Reason::LooksOn => view! {
                    <h2>"You look on here"</h2>
                    <p>"You were invited as a viewer, and viewers judge nothing. The other views show what
                        the annotators say and how far they agree. Who wants to judge asks an owner of the
                        project for another link."</p>
                }.into_any(),
                Reason::NoCulture => view! {
                    <h2>"No culture is yours yet"</h2>
                    <p>"You named no culture that you know, so no item is given to you."</p>
                    <MyCultures desk/>
                }.into_any(),
                Reason::Exhausted => view! {
                    <h2>"Nothing to judge at the moment"</h2>
                    <p>"Everything in your cultures is judged, or others are at it. This page looks
                        again by itself."</p>
                }.into_any(),
                Reason::Fetching => view! { <p class="meta">"Fetching items"</p> }.into_any(),
            }}
        </div>
    }
    .into_any()
}
