//! What this member has judged and skipped, newest first; each can be replaced or taken back.

use domain::annotation::state::Word;
use domain::annotation::{Act, Item, ItemId, Judgement, Label, MemberId, Record, SkipReason};
use leptos::prelude::*;

use super::comments::Comments;
use super::desk::Desk;
use super::item::{ItemText, Options};
use super::items::{OneItem, label_name};
use crate::browser;
use crate::link;

/// A word of one's own, as the list shows it.
#[derive(Debug, Clone, PartialEq)]
enum Mine {
    Judged(Judgement),
    Skipped(SkipReason),
}

/// The member's own judgements beside the item that the address names.
#[component]
pub fn MyJudgements(
    /// The project.
    desk: Desk,
    /// The item that the address names.
    shown: Memo<Option<String>>,
) -> impl IntoView {
    let mine = Memo::new(move |_| own_words(desk));
    let items =
        move || mine.with(|mine| mine.iter().map(|(item, _)| item.clone()).collect::<Vec<_>>());
    let count = move || match mine.with(Vec::len) {
        0 => "You have judged nothing yet.".to_owned(),
        1 => "One item. Choose it to judge it anew.".to_owned(),
        count => format!("{count} items, the newest first. Choose one to judge it anew."),
    };
    view! {
        <div class="items">
            <section aria-labelledby="mine">
                <h2 id="mine">"My judgements"</h2>
                <p class="meta" role="status" data-testid="mine-size">{count}</p>
                <ul class="queue">
                    <For each=items key=Clone::clone let:item>
                        <Entry desk item shown/>
                    </For>
                </ul>
            </section>
            {move || shown.get().map(|id| view! { <OneItem desk id=ItemId(id) body=again/> })}
        </div>
    }
    .into_any()
}

/// What `me` says of an item.
fn own_word(record: &Record, me: &MemberId) -> Option<Mine> {
    match record.word(me)?.1 {
        Word::Judged(judgement) => Some(Mine::Judged(judgement.clone())),
        Word::Skipped(reason) => Some(Mine::Skipped(reason)),
        Word::Hidden => None,
    }
}

/// Every item with this member's word, the newest first.
fn own_words(desk: Desk) -> Vec<(ItemId, Mine)> {
    let me = desk.me();
    desk.state.with(|state| {
        let of = |(item, record): (&ItemId, &Record)| {
            let (event, _) = record.word(&me)?;
            Some((event.at, item.clone(), own_word(record, &me)?))
        };
        let mut words: Vec<_> = state.records().filter_map(of).collect();
        words.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        words.into_iter().map(|(_, item, mine)| (item, mine)).collect()
    })
}

#[component]
fn Entry(desk: Desk, item: ItemId, shown: Memo<Option<String>>) -> impl IntoView {
    let address = format!("?view=mine&item={}", link::escape(item.as_str()));
    let name = item.to_string();
    let here = move || (shown.get().as_deref() == Some(name.as_str())).then_some("true");
    let (of, me) = (item.clone(), desk.me());
    let said = move || {
        let mine = desk.state.with(|state| own_word(state.record(&of)?, &me));
        mine.map(|mine| said(desk, &mine))
    };
    view! {
        <li data-testid="my-judgement" data-item=item.to_string()>
            <a href=address aria-current=here>{item.to_string()}</a>
            <span class="meta">{said}</span>
        </li>
    }
}

fn said(desk: Desk, mine: &Mine) -> String {
    match mine {
        Mine::Skipped(reason) => format!("skipped: {}", reason.title()),
        Mine::Judged(Judgement { label, option: None, .. }) => label_name(desk, label),
        Mine::Judged(Judgement { label, option: Some(option), .. }) => {
            format!("{}, people would say {option}", label_name(desk, label))
        }
    }
}

/// An item that is judged anew.
fn again(desk: Desk, item: Item) -> AnyView {
    let id = StoredValue::new(item.id.clone());
    let opened = browser::milliseconds();
    let me = desk.me();
    let own = Memo::new(move |_| {
        desk.state.with(|state| id.with_value(|item| own_word(state.record(item)?, &me)))
    });
    let option = own.with_untracked(|own| match own {
        Some(Mine::Judged(judgement)) => judgement.option,
        _ => None,
    });
    let chosen = RwSignal::new(option);
    let chosen_label = move |label: &Label| {
        own.with(|own| matches!(own, Some(Mine::Judged(judgement)) if judgement.label == label.id))
    };
    let button = move |label: Label| {
        let (of, name) = (label.id.clone(), label.name.clone());
        let judge = move |_| {
            let since = browser::milliseconds() - opened;
            let milliseconds = since.clamp(0.0, f64::from(u32::MAX)) as u32;
            let option = chosen.get_untracked();
            let judgement = Judgement { label: of.clone(), option, milliseconds };
            desk.say_or_tell(&id.get_value());
            desk.act(&id.get_value(), Act::Judged(judgement));
        };
        view! {
            <button type="button" class="outlined" data-testid="judge-again"
                data-label=label.id.to_string() on:click=judge
                aria-pressed=move || chosen_label(&label).to_string()>{name}</button>
        }
    };
    let now = move || match own.get() {
        Some(mine) => format!("Your word: {}.", said(desk, &mine)),
        None => "You have no word on this item.".to_owned(),
    };
    view! {
        <article class="item">
            <ItemText item=item.clone()/>
            <Options item chosen/>
        </article>
        <p role="status" data-testid="my-word">{now}</p>
        <Show when=move || own.with(Option::is_some)>
            <div class="decision" role="group" aria-label="Judge anew">
                <p class="meta">"Replace it by:"</p>
                {move || desk.labels().into_iter().map(button).collect_view()}
                <button type="button" class="quiet" data-testid="take-back"
                    on:click=move |_| desk.act(&id.get_value(), Act::Undone)>"Take it back"</button>
            </div>
        </Show>
        <Comments desk item=id.get_value()/>
    }
    .into_any()
}
