//! How the voices differ, recomputed in the browser while they speak.

use domain::comparison::{WordScore, distinctive_words, similarity};
use domain::voice::Voice;
use leptos::prelude::*;

use super::conversation::Conversation;
use crate::components::VoiceTag;

/// Words shown per voice.
const TOP: usize = 8;

/// What is known about the newest replies.
#[derive(Debug, Clone, Default, PartialEq)]
struct Comparison {
    voices: Vec<Voice>,
    lengths: Vec<usize>,
    words: Vec<Vec<WordScore>>,
    similarity: Vec<Vec<f64>>,
}

impl Comparison {
    fn of(replies: Vec<(Voice, String)>) -> Self {
        let (voices, texts): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
        Self {
            lengths: texts.iter().map(|text| text.split_whitespace().count()).collect(),
            words: distinctive_words(&texts, TOP),
            similarity: similarity(&texts),
            voices,
        }
    }
}

/// Words that set voices apart, and how similar the voices are.
#[component]
pub fn ComparisonPanel() -> impl IntoView {
    let shown = recomputed(expect_context::<Conversation>());
    view! {
        <Show when=move || shown.with(|shown| shown.voices.len() > 1)>
            <section class="comparison" aria-labelledby="differ" data-testid="comparison">
                <h2 id="differ">"How they differ"</h2>
                <div class="columns">
                    <div>
                        <h3>"Words that set each voice apart"</h3>
                        {move || shown.with(words_view)}
                        <details class="note">
                            <summary>"How is this computed?"</summary>
                            <p>
                                "In your browser, from the newest replies: log-odds of each word
                                against all other voices together, with their pooled words as the
                                prior (Monroe, Colaresi and Quinn 2008). The larger z, the more a
                                word belongs to that voice; short replies give small z."
                            </p>
                        </details>
                    </div>
                    <div>
                        <h3>"Similarity of replies"</h3>
                        {move || shown.with(similarity_view)}
                        <details class="note">
                            <summary>"How is this computed?"</summary>
                            <p>
                                "Cosine between the content words of two replies, each weighted
                                1 + ln(count): 1.00 is the same choice of words, 0.00 nothing in
                                common."
                            </p>
                        </details>
                    </div>
                </div>
            </section>
        </Show>
    }
    .into_any()
}

/// The comparison of the newest replies, at most once per animation frame.
fn recomputed(conversation: Conversation) -> RwSignal<Comparison> {
    let shown = RwSignal::new(Comparison::default());
    let scheduled = StoredValue::new(false);
    Effect::new(move |_| {
        conversation.newest_texts();
        if scheduled.get_value() {
            return;
        }
        scheduled.set_value(true);
        request_animation_frame(move || {
            // The page may be gone by the time the frame comes.
            if scheduled.try_set_value(false).is_none() {
                let next = untrack(|| Comparison::of(conversation.newest_texts()));
                if shown.try_with_untracked(|shown| *shown != next) == Some(true) {
                    shown.set(next);
                }
            }
        });
    });
    shown
}

fn words_view(comparison: &Comparison) -> impl IntoView + use<> {
    let rows = comparison.voices.iter().zip(&comparison.words).zip(&comparison.lengths);
    let rows: Vec<_> = rows
        .map(|((voice, words), length)| {
            let words: Vec<_> = words.iter().map(word_view).collect();
            let none = words.is_empty().then_some("nothing yet");
            view! {
                <dt><VoiceTag voice=voice.clone()/><span class="meta">{format!("{length} words")}</span></dt>
                <dd data-testid="distinctive" data-voice=voice.slug()>{words}<span class="meta">{none}</span></dd>
            }
        })
        .collect();
    view! { <dl class="words">{rows}</dl> }
}

fn word_view(word: &WordScore) -> impl IntoView + use<> {
    // Size follows z gently: the number itself is in the title.
    let size = format!("font-size:{:.2}rem", (0.85 + word.z.min(3.0) * 0.12).clamp(0.85, 1.2));
    let title = format!("z {:.2}, said {} times", word.z, word.count);
    view! { <span class="word" style=size title=title>{word.word.clone()}" "</span> }
}

fn similarity_view(comparison: &Comparison) -> impl IntoView + use<> {
    let heads: Vec<_> = comparison
        .voices
        .iter()
        .map(|voice| view! { <th scope="col"><VoiceTag voice=voice.clone()/></th> })
        .collect();
    let rows: Vec<_> = comparison
        .voices
        .iter()
        .zip(&comparison.similarity)
        .map(|(voice, row)| {
            let cells: Vec<_> = row.iter().map(|value| similarity_cell(*value)).collect();
            view! { <tr><th scope="row"><VoiceTag voice=voice.clone()/></th>{cells}</tr> }
        })
        .collect();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Similarity of replies">
            <table class="heat" data-testid="similarity">
                <caption class="visually-hidden">"Similarity of each pair of replies, 0 to 1"</caption>
                <thead><tr><td></td>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn similarity_cell(value: f64) -> impl IntoView + use<> {
    let style = format!("--heat:{:.0}%", value.clamp(0.0, 1.0) * 100.0);
    view! { <td class="heat-cell" style=style data-testid="similarity-cell">{format!("{value:.2}")}</td> }
}
