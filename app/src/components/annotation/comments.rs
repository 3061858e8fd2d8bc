//! What was said about an item, and a box to say more. Always plain text.

use domain::annotation::{Act, Event, ItemId};
use leptos::prelude::*;

use super::desk::Desk;
use super::draft::Draft;
use crate::browser;

/// The thread of an item.
#[component]
pub fn Comments(
    /// The project.
    desk: Desk,
    /// The item.
    item: ItemId,
) -> impl IntoView {
    let of = item.clone();
    let comments = Memo::new(move |_| {
        desk.state.with(|state| {
            let record = state.record(&of);
            let threads = record.map(|record| record.threads()).unwrap_or_default();
            threads.into_iter().map(|(event, answer)| (event.clone(), answer)).collect::<Vec<_>>()
        })
    });
    let item = StoredValue::new(item);
    let refusal = RwSignal::new(None::<String>);
    let draft = Memo::new(move |_| {
        desk.drafts
            .with(|drafts| item.with_value(|item| drafts.get(item).cloned()))
            .unwrap_or_default()
    });
    let write = move |change: &dyn Fn(&mut Draft)| {
        desk.drafts.update(|drafts| change(drafts.entry(item.get_value()).or_default()));
    };
    // What would be refused stays in the box.
    let say = move || refusal.set(desk.say(&item.get_value()).err().map(|error| error.to_string()));
    let keys = move |event: leptos::ev::KeyboardEvent| {
        // While an input method composes, Enter belongs to it.
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            say();
        }
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        say();
    };
    let answer = move |event: Event| write(&|draft| draft.answers = Some(event.clone()));
    let may_speak = move || desk.member().is_some_and(|member| member.role.judges());
    view! {
        <section class="comments" aria-label="Comments">
            <ul>
                <For each=move || comments.get() key=|(event, _)| (event.submission.clone(), event.at)
                    let((event, answers))>
                    <li data-testid="comment" class:answer=answers>{one(desk, event, answer)}</li>
                </For>
            </ul>
            {move || draft.with(|draft| draft.answers.clone()).map(|event| view! {
                <p class="meta">
                    {format!("You answer {}. ", desk.name_of(&event.author))}
                    <button type="button" class="quiet" on:click=move |_| write(&|draft| draft.answers = None)>
                        "Not any more"
                    </button>
                </p>
            })}
            <Show when=may_speak>
                <form on:submit=submit class="comment-form">
                    <label class="visually-hidden" for="comment">"Comment on this item"</label>
                    <textarea id="comment" rows="1" autocomplete="off" data-testid="comment-text"
                        placeholder="Comment on this item" aria-describedby="comment-note"
                        prop:value=move || draft.with(|draft| draft.text.clone())
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            write(&|draft| draft.text.clone_from(&text));
                        }
                        on:keydown=keys></textarea>
                    <button type="submit" class="outlined" data-testid="comment-send">"Comment"</button>
                </form>
                <p class="meta" id="comment-note" hidden=move || draft.with(|draft| draft.text.is_empty())>
                    "Enter sends it, Shift and Enter begin a new line. Judging or skipping the item
                    sends it too."
                </p>
                {move || refusal.get().map(|text| view! { <p class="error" role="alert">{text}</p> })}
            </Show>
        </section>
    }
    .into_any()
}

fn one(desk: Desk, event: Event, answer: impl Fn(Event) + 'static) -> impl IntoView {
    let author = event.author.clone();
    let text = match &event.act {
        Act::Commented { text, .. } => text.clone(),
        _ => "A comment that shows once the item is judged.".to_owned(),
    };
    // Ours has no time of the server's yet.
    let waits = event.at == i64::MAX;
    let ago = ago(browser::wall_clock().saturating_sub(event.at));
    let answer = move |_| {
        answer(event.clone());
        browser::focus("comment");
    };
    view! {
        <span class="who">{move || desk.name_of(&author)}</span>
        <span class="meta">{if waits { "to be sent".to_owned() } else { ago }}</span>
        <button type="button" class="quiet" data-testid="answer" on:click=answer>"Answer"</button>
        <p>{text}</p>
    }
}

/// A time span for people. A browser's clock may be wrong; then it was just now.
fn ago(milliseconds: i64) -> String {
    match milliseconds / 60_000 {
        ..1 => "just now".to_owned(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes @ 60..1440 => format!("{} h ago", minutes / 60),
        minutes => format!("{} days ago", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn times_are_rounded_for_people() {
        for (milliseconds, expected) in [
            (-86_400_000, "just now"),
            (59_000, "just now"),
            (61_000, "1 min ago"),
            (7_200_000, "2 h ago"),
            (200_000_000, "2 days ago"),
        ] {
            assert_eq!(ago(milliseconds), expected);
        }
    }
}
