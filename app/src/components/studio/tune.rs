//! Adapters while they learn: the loss, what one answers to a question of the survey, and the way to talk
//! to it.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use domain::voice::Voice;

use super::follow::Followed;
use crate::api::method_run::{AdapterSummary, AnswerSample};
use crate::api::{AdapterInfo, ApiError};
use crate::backend::use_live;
use crate::charts::{BarSeries, Bars, Curve, CurvePoint, Figure, NumberTable};
use crate::components::ErrorNote;
use crate::components::words::counted;
use crate::link::DeepLink;
use crate::shell::WorldResource;

/// The body of the fourth step.
#[component]
pub fn Tuned(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    // A person's choice; until there is one, the adapter that is at work is shown.
    let chosen = RwSignal::new(None::<String>);
    let names = Memo::new(move |_| {
        followed.run.with(|run| {
            let adapters = run.iter().flat_map(|run| &run.tune);
            adapters.map(|adapter| adapter.name.clone()).collect::<Vec<_>>()
        })
    });
    let shown = Memo::new(move |_| {
        followed.run.with(|run| {
            let adapters = &run.as_ref()?.tune;
            let named = |name: &String| adapters.iter().find(|adapter| adapter.name == *name);
            let own = chosen.with(|chosen| chosen.as_ref().and_then(named));
            let at_work = adapters.iter().rev().find(|a| a.instances.is_none());
            own.or(at_work).or(adapters.first()).cloned()
        })
    });
    let some = Memo::new(move |_| shown.with(Option::is_some));
    view! {
        <Show when=move || some.get()>
            <div class="choices">
                <label class="field">
                    "Adapter"
                    <select data-testid="adapter-choice"
                        prop:value=move || shown.with(|a| a.as_ref().map(|a| a.name.clone()))
                        on:change=move |event| chosen.set(Some(event_target_value(&event)))>
                        {move || names.get().into_iter().map(|name| {
                            let selected = shown.with_untracked(|a| a.as_ref().is_some_and(|a| a.name == name));
                            view! { <option value=name.clone() selected=selected>{name.clone()}</option> }
                        }).collect_view()}
                    </select>
                </label>
                <TalkTo followed shown/>
            </div>
            <div class="columns">
                <Losses shown/>
                <Sample shown/>
            </div>
        </Show>
    }
    .into_any()
}

/// The button that opens a chat with the adapter as it is now.
#[component]
fn TalkTo(followed: Followed, shown: Memo<Option<AdapterSummary>>) -> impl IntoView {
    let WorldResource(world) = expect_context();
    let refusal = RwSignal::new(None::<ApiError>);
    let busy = RwSignal::new(false);
    let live = StoredValue::new(use_live());
    let navigate = use_navigate();
    let open = move |_| {
        let id = followed.info.with_untracked(|info| info.as_ref().map(|info| info.id.clone()));
        let sample = shown.get_untracked();
        let (Some(id), Some(adapter), Some(live)) = (id, sample, live.get_value()) else { return };
        let navigate = navigate.clone();
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            match live.open_adapter(id, adapter.name.clone()).await {
                Ok(loaded) => {
                    // The Talk page has to know the adapter before it offers it.
                    world.refetch();
                    navigate(&address(&adapter, loaded), NavigateOptions::default());
                }
                Err(error) => refusal.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let label = move || {
        shown.with(|adapter| {
            let Some(adapter) = adapter else { return String::new() };
            match adapter.curve.last().filter(|_| adapter.instances.is_none()) {
                Some(_) => format!("Talk to {} as it is now", adapter.name),
                None => format!("Talk to {}", adapter.name),
            }
        })
    };
    view! {
        <button type="button" class="outlined" data-testid="talk-to" disabled=move || busy.get()
            on:click=open>{label}</button>
        {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
    }
}

/// The base model, and a culture without and with the adapter.
fn address(adapter: &AdapterSummary, loaded: AdapterInfo) -> String {
    let culture = adapter.culture.or(adapter.sample.as_ref().map(|sample| sample.culture));
    let voices = match culture {
        Some(code) => {
            vec![Voice::unaware(), Voice::aware(code), Voice::adapted(code, loaded.name)]
        }
        None => {
            vec![Voice::unaware(), Voice { adapter: Some(loaded.name), ..Voice::unaware() }]
        }
    };
    format!("/?{}", DeepLink { voices, ..DeepLink::default() }.encode())
}

#[component]
fn Losses(shown: Memo<Option<AdapterSummary>>) -> impl IntoView {
    let points = Memo::new(move |_| {
        shown.with(|adapter| {
            let curve = adapter.iter().flat_map(|adapter| &adapter.curve);
            curve.map(|p| CurvePoint { x: p.step as f64, y: p.loss }).collect::<Vec<_>>()
        })
    });
    let end = Memo::new(move |_| {
        shown.with(|adapter| adapter.as_ref()?.curve.last().map(|point| point.total as f64))
    });
    let table = Memo::new(move |_| {
        shown.with(|adapter| adapter.as_ref().map(loss_table).unwrap_or_default())
    });
    let title = move || {
        let name = shown.with(|a| a.as_ref().map(|a| a.name.clone()).unwrap_or_default());
        format!("Loss of {name}")
    };
    let description =
        move || shown.with(|adapter| adapter.as_ref().map(loss_words).unwrap_or_default());
    view! {
        <Figure id="loss" title=Signal::derive(title) simulated=false table
            description=Signal::derive(description)>
            <Curve points end=Signal::derive(move || end.get().unwrap_or(1.0)) x_label="update"
                y_label="loss in nats" label=Signal::derive(description)/>
        </Figure>
    }
    .into_any()
}

fn loss_table(adapter: &AdapterSummary) -> NumberTable {
    NumberTable {
        columns: ["update", "loss", "learning rate"].map(str::to_owned).to_vec(),
        rows: adapter
            .curve
            .iter()
            .map(|point| {
                let (loss, rate) = (point.loss, point.learning_rate);
                vec![point.step.to_string(), format!("{loss:.4}"), format!("{rate:.2e}")]
            })
            .collect(),
    }
}

/// What the curve says, for those who can't see it, and for everybody the newest numbers.
fn loss_words(adapter: &AdapterSummary) -> String {
    let (Some(first), Some(last)) = (adapter.curve.first(), adapter.curve.last()) else {
        return "There was no instance to learn from.".to_owned();
    };
    let instances = match adapter.instances {
        Some(count) => format!(" on {}", counted(count, "instance")),
        None => String::new(),
    };
    format!(
        "{} of {}{instances}: loss {:.3} at first, {:.3} now; learning rate {:.1e}.",
        last.step,
        counted(last.total, "update"),
        first.loss,
        last.loss,
        last.learning_rate,
    )
}

#[component]
fn Sample(shown: Memo<Option<AdapterSummary>>) -> impl IntoView {
    let sample = Memo::new(move |_| {
        shown.with(|adapter| adapter.as_ref().and_then(|adapter| adapter.sample.clone()))
    });
    let some = Memo::new(move |_| sample.with(Option::is_some));
    let simulated = move || sample.with_untracked(|s| s.as_ref().is_some_and(|s| s.simulated));
    let options = Memo::new(move |_| {
        sample.with(|sample| sample.as_ref().map(|s| s.options.clone()).unwrap_or_default())
    });
    let series =
        Memo::new(move |_| sample.with(|sample| sample.as_ref().map(series).unwrap_or_default()));
    let table = Memo::new(move |_| {
        options.with(|options| series.with(|series| sample_table(options, series)))
    });
    let title = move || sample.with(|s| s.as_ref().map(|s| s.question.clone()).unwrap_or_default());
    let description = move || {
        sample.with(|sample| {
            let told = |s: &AnswerSample| {
                let what = if s.held_out { "A held-out question" } else { "A survey question" };
                let learnt = match s.uses_reference {
                    true => {
                        " † It learns answers that were given after seeing people’s (P3), so that coming \
                         closer to them is no fair test."
                    }
                    false => "",
                };
                format!(
                    "{what}, answered as {}: before tuning, and after {}.{learnt}",
                    s.culture,
                    counted(s.step, "update")
                )
            };
            sample.as_ref().map(told).unwrap_or_default()
        })
    };
    view! {
        <Show when=move || some.get() fallback=|| view! {
            <p class="meta">"A sample answer comes with the first checkpoint."</p>
        }>
            <Figure id="sample" title=Signal::derive(title) simulated=simulated() table
                description=Signal::derive(description)>
                <Bars options series/>
            </Figure>
        </Show>
    }
    .into_any()
}

fn series(sample: &AnswerSample) -> Vec<BarSeries> {
    let bars = |label: &str, plain: bool, people: bool, shares: &[f64]| BarSeries {
        label: label.to_owned(),
        culture: Some(sample.culture),
        people,
        plain,
        shares: shares.to_vec(),
    };
    let people = sample.people.as_ref().map(|shares| bars("people", false, true, shares));
    let now = if sample.uses_reference { "now †" } else { "now" };
    let voices =
        [bars("before", true, false, &sample.before), bars(now, false, false, &sample.now)];
    people.into_iter().chain(voices).collect()
}

fn sample_table(options: &[String], series: &[BarSeries]) -> NumberTable {
    let row = |(index, option): (usize, &String)| {
        let share = |s: &BarSeries| {
            s.shares.get(index).map_or(String::new(), |share| format!("{:.1}", share * 100.0))
        };
        std::iter::once(option.clone()).chain(series.iter().map(share)).collect()
    };
    NumberTable {
        columns: std::iter::once("option".to_owned())
            .chain(series.iter().map(|series| format!("{} %", series.label)))
            .collect(),
        rows: options.iter().enumerate().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_shows_what_the_adapter_changes() {
        let mut adapter = AdapterSummary {
            name: "specific-THA".to_owned(),
            culture: "THA".parse().ok(),
            instances: None,
            hash: None,
            curve: Vec::new(),
            sample: None,
        };
        let loaded =
            |name: &str| AdapterInfo { name: name.to_owned(), hash: String::new(), culture: None };
        assert_eq!(
            address(&adapter, loaded("r/specific-THA@step-4")),
            "/?voices=unaware,THA,THA%2Br%2Fspecific-THA%40step-4"
        );
        adapter.culture = None;
        assert_eq!(address(&adapter, loaded("r/joint")), "/?voices=unaware,unaware%2Br%2Fjoint");
        assert_eq!(loss_words(&adapter), "There was no instance to learn from.");
    }
}
