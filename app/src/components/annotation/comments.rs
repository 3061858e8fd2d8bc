//! What was said about an item, and a box to say more. Always plain text.

use domain::annotation::event::{LONGEST_COMMENT, check_comment};
use domain::annotation::{Act, Event, ItemId};
use leptos::prelude::*;

use super::desk::Desk;
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
    let draft = RwSignal::new(String::new());
    let answered = RwSignal::new(None::<Event>);
    let refusal = RwSignal::new(None::<String>);
    let say = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let text = draft.get_untracked().trim().to_owned();
        if text.is_empty() {
            return;
        }
        // What would be refused stays in the box.
        if let Err(error) = check_comment(&text) {
            refusal.set(Some(error.to_string()));
            return;
        }
        let answers = answered.get_untracked().map(|event| event.submission);
        desk.act(&item.get_value(), Act::Commented { text, answers });
        draft.set(String::new());
        answered.set(None);
        refusal.set(None);
    };
    let may_speak = move || desk.member().is_some_and(|member| member.role.judges());
    view! {
        <section class="comments" aria-label="Comments">
            <ul>
                <For each=move || comments.get() key=|(event, _)| (event.submission.clone(), event.at)
                    let((event, answer))>
                    <li data-testid="comment" class:answer=answer>{one(desk, event, answered)}</li>
                </For>
            </ul>
            {move || answered.get().map(|event| view! {
                <p class="meta">
                    {format!("You answer {}. ", desk.name_of(&event.author))}
                    <button type="button" class="quiet" on:click=move |_| answered.set(None)>
                        "Not any more"
                    </button>
                </p>
            })}
            <Show when=may_speak>
                <form on:submit=say class="comment-form">
                    <label class="visually-hidden" for="comment">"Comment on this item"</label>
                    <input id="comment" type="text" autocomplete="off" data-testid="comment-text"
                        placeholder="Comment on this item" maxlength=LONGEST_COMMENT.to_string()
                        prop:value=move || draft.get()
                        on:input=move |event| draft.set(event_target_value(&event))/>
                    <button type="submit" class="outlined" data-testid="comment-send">"Comment"</button>
                </form>
                {move || refusal.get().map(|text| view! { <p class="error" role="alert">{text}</p> })}
            </Show>
        </section>
    }
    .into_any()
}

fn one(desk: Desk, event: Event, answered: RwSignal<Option<Event>>) -> impl IntoView + use<> {
    let author = event.author.clone();
    let text = match &event.act {
        Act::Commented { text, .. } => text.clone(),
        _ => "A comment that shows once the item is judged.".to_owned(),
    };
    // Ours has no time of the server's yet.
    let waits = event.at == i64::MAX;
    let ago = ago(browser::wall_clock().saturating_sub(event.at));
    let answer = move |_| {
        answered.set(Some(event.clone()));
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
