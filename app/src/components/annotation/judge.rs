//! Judging: one item at a time, by buttons or keys.

use std::time::Duration;

use domain::annotation::{Item, Label, LabelId, Member, SkipReason};
use leptos::ev::KeyboardEvent;
use leptos::prelude::*;

use super::comments::Comments;
use super::desk::Desk;
use super::item::{ItemText, Options};
use super::key_help::KeyHelp;
use super::keys::{Bindings, Command, Keys, Meaning, Pressed};
use super::markdown::Markdown;
use super::my_cultures::MyCultures;
use crate::browser;

/// How long an item is on the screen before a tap judges it: the second tap of a double one, meant for the
/// item before, is over by then, and nobody reads that fast.
const UNSEEN: Duration = Duration::from_millis(250);

/// The current item with everything that can be done to it; a handle that can be copied.
#[derive(Clone, Copy)]
struct Judging {
    desk: Desk,
    current: Memo<Option<Item>>,
    chosen: RwSignal<Option<u32>>,
    /// Whether the item has been on the screen long enough to be judged by a tap.
    seen: RwSignal<bool>,
    bindings: Memo<Bindings>,
    skipping: RwSignal<bool>,
    help: RwSignal<bool>,
}

impl Judging {
    /// What a tap does; nothing to an item that has only just appeared.
    fn tap(self, act: impl FnOnce(Self)) {
        if self.seen.get_untracked() {
            act(self);
        }
    }

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
        let pressed = Pressed { key: event.key(), code: event.code(), shift: event.shift_key() };
        if self.skipping.get_untracked()
            && let Some(reason) = reason(&pressed)
        {
            event.prevent_default();
            return self.skip(reason);
        }
        let meaning = self.bindings.with_untracked(|bindings| bindings.meaning(&pressed));
        let Some(meaning) = meaning else { return };
        event.prevent_default();
        match meaning {
            // Digits are reasons then; one that is none must not judge.
            Meaning::Label(_) if self.skipping.get_untracked() => {}
            Meaning::Label(label) => self.judge(label),
            Meaning::Command(Command::Undo) => self.undo(),
            Meaning::Command(Command::Skip) => {
                self.skipping.update(|skipping| *skipping = !*skipping)
            }
            Meaning::Command(Command::Comment) => browser::focus("comment"),
            Meaning::Command(Command::Help) => self.help.update(|help| *help = !*help),
            Meaning::Command(Command::Next) => self.choose(1),
            Meaning::Command(Command::Previous) => self.choose(-1),
        }
    }

    /// The key of a command, as people read it. Tracks.
    fn key(self, command: Command) -> String {
        self.bindings.with(|bindings| bindings.key(&Meaning::Command(command)))
    }
}

/// The reason that a digit gives while reasons are asked for.
fn reason(pressed: &Pressed) -> Option<SkipReason> {
    SkipReason::ALL.get(pressed.digit()?.checked_sub(1)?).copied()
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
    let keys = RwSignal::new(Keys::load());
    let labels = Memo::new(move |_| desk.labels());
    let judging = Judging {
        desk,
        current: Memo::new(move |_| desk.queue.with(|queue| queue.front().cloned())),
        chosen: RwSignal::new(None),
        seen: RwSignal::new(false),
        bindings: Memo::new(move |_| keys.with(|keys| labels.with(|labels| keys.bind(labels)))),
        skipping: RwSignal::new(false),
        help: RwSignal::new(false),
    };
    notice_items(judging);
    let listener = window_event_listener(leptos::ev::keydown, move |event| judging.hear(&event));
    on_cleanup(move || listener.remove());
    view! {
        <div class="judge">
            <Guidelines desk labels/>
            {move || match judging.current.get() {
                Some(item) => view! { <Current judging item/> }.into_any(),
                None => view! { <Nothing desk/> }.into_any(),
            }}
            <Last judging/>
            <KeyHelp desk keys bindings=judging.bindings open=judging.help/>
        </div>
    }
    .into_any()
}

/// Notes when another item is on the screen, and when it has been there for a moment.
fn notice_items(judging: Judging) {
    let Judging { current, seen, .. } = judging;
    let shown = Memo::new(move |_| current.with(|item| item.as_ref().map(|item| item.id.clone())));
    Effect::new(move |_| {
        let now = shown.get();
        seen.set(false);
        let still = move || {
            if shown.try_get_untracked() == Some(now) {
                let _ = seen.try_set(true);
            }
        };
        set_timeout(still, UNSEEN);
    });
}

/// How to judge, and when to choose which label.
#[component]
fn Guidelines(desk: Desk, labels: Memo<Vec<Label>>) -> impl IntoView {
    let guidelines = Memo::new(move |_| desk.settings.with(|s| s.guidelines.clone()));
    let explained = move || labels.get().into_iter().filter(|label| !label.explanation.is_empty());
    let any = move || !guidelines.with(String::is_empty) || explained().next().is_some();
    let entry = |label: Label| {
        view! { <div><dt>{label.name}</dt><dd>{label.explanation}</dd></div> }
    };
    view! {
        <Show when=any>
            <details class="guidelines" data-testid="guidelines">
                <summary>"Guidelines"</summary>
                {move || view! { <Markdown text=guidelines.get()/> }}
                <dl class="label-meanings" data-testid="label-meanings">
                    {move || explained().map(entry).collect_view()}
                </dl>
            </details>
        </Show>
    }
    .into_any()
}

#[component]
fn Current(judging: Judging, item: Item) -> impl IntoView {
    let id = item.id.clone();
    view! {
        <article class="item" data-testid="item" data-item=id.to_string() aria-label="Item to judge"
            data-seen=move || judging.seen.get().to_string()>
            <ItemText item=item.clone()/>
            <Options item chosen=judging.chosen/>
        </article>
        <Labels judging/>
        <Comments desk=judging.desk item=id/>
    }
    .into_any()
}

/// The labels and the way to skip; while a reason to skip is asked for, the reasons in the labels' place:
/// on a phone this bar is what stays in sight.
#[component]
fn Labels(judging: Judging) -> impl IntoView {
    let desk = judging.desk;
    let labels = Memo::new(move |_| desk.labels());
    let choices = move || match judging.skipping.get() {
        true => view! { <Reasons judging/> }.into_any(),
        false => {
            labels.get().into_iter().map(|label| button(judging, label)).collect_view().into_any()
        }
    };
    view! {
        <p class="asked-of" id="asked-of">"Is the framed answer right for this culture?"</p>
        <div class="label-bar" role="group" aria-labelledby="asked-of">
            {choices}
            <button type="button" class="label-button quiet-label" data-testid="skip"
                aria-expanded=move || judging.skipping.get().to_string()
                on:click=move |_| judging.skipping.update(|skipping| *skipping = !*skipping)>
                <kbd aria-hidden="true">{move || judging.key(Command::Skip)}</kbd>
                {move || if judging.skipping.get() { "Don’t skip" } else { "Skip" }}
            </button>
        </div>
    }
    .into_any()
}

fn button(judging: Judging, label: Label) -> impl IntoView {
    let (id, meaning) = (label.id.clone(), Meaning::Label(label.id.clone()));
    let key = move || judging.bindings.with(|bindings| bindings.key(&meaning));
    view! {
        <button type="button" class="label-button" data-testid="label" data-label=label.id.to_string()
            title=label.explanation
            on:click=move |_| judging.tap(|judging| judging.judge(id.clone()))>
            <kbd aria-hidden="true">{key}</kbd>
            {label.name}
        </button>
    }
}

#[component]
fn Reasons(judging: Judging) -> impl IntoView {
    let button = move |(place, reason): (usize, SkipReason)| {
        view! {
            <button type="button" class="label-button" data-testid="skip-reason"
                on:click=move |_| judging.tap(|judging| judging.skip(reason))>
                <kbd aria-hidden="true">{place + 1}</kbd>
                {reason.title()}
            </button>
        }
    };
    view! {
        <div class="reasons" role="group" aria-label="Why do you skip this item?">
            <p class="meta">"Why do you skip it?"</p>
            {SkipReason::ALL.into_iter().enumerate().map(button).collect_view()}
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
                    <kbd aria-hidden="true">{move || judging.key(Command::Undo)}</kbd>"Take the last one back"
                </button>
                <a class="meta" href=link(&item) data-testid="last-judged">"See what others say of it"</a>
            })}
            <button type="button" class="quiet" data-testid="show-keys"
                aria-expanded=move || judging.help.get().to_string()
                on:click=move |_| judging.help.update(|help| *help = !*help)>
                <kbd aria-hidden="true">{move || judging.key(Command::Help)}</kbd>"Keys"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_give_a_reason_to_skip() {
        for (key, expected) in [
            ("1", Some(SkipReason::UnknownCulture)),
            ("4", Some(SkipReason::Broken)),
            ("0", None),
            ("5", None),
            ("s", None),
        ] {
            let pressed = Pressed { key: key.to_owned(), code: String::new(), shift: false };
            assert_eq!(reason(&pressed), expected, "{key}");
        }
    }
}
