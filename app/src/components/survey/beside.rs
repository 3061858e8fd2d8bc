//! Another run of the same survey, whose voices are shown in the same charts: recorded beside live
//! ones, or before beside after.

use leptos::prelude::*;

use super::follow::Followed;
use crate::api::SurveyRunInfo;
use crate::components::ErrorNote;
use crate::components::run_page::RunPage;
use crate::components::words::minutes;

/// Chooses the run beside the shown one; nothing where there is no other of the survey.
#[component]
pub fn BesideChoice(
    /// The page, whose address keeps the choice.
    page: RunPage<SurveyRunInfo>,
    /// The shown run.
    followed: Followed,
    /// The run beside it.
    beside: Followed,
) -> impl IntoView {
    let chosen = Memo::new(move |_| beside.info.with(|info| Some(info.as_ref()?.id.clone())));
    let shown = Memo::new(move |_| {
        followed.info.with(|info| info.as_ref().map(|info| (info.id.clone(), info.survey.clone())))
    });
    // The shown run first: it is known in the browser only, after the page has come to life, and until
    // then the list of runs must not be waited for.
    let others = Memo::new(move |_| {
        let Some((id, survey)) = shown.get() else { return Vec::new() };
        let runs = page.runs.get().and_then(Result::ok).unwrap_or_default();
        others(runs, &id, &survey)
    });
    let choose = move |event| {
        let other = event_target_value(&event);
        if let Some((id, _)) = shown.get_untracked() {
            page.open_beside(&id, (!other.is_empty()).then_some(other.as_str()));
        }
    };
    let option = move |info: &SurveyRunInfo| {
        let own = info.id.clone();
        let selected = move || chosen.with(|chosen| chosen.as_ref() == Some(&own));
        view! { <option value=info.id.clone() prop:selected=selected>{name(info)}</option> }
    };
    let options = move || others.with(|others| others.iter().map(option).collect_view());
    let some = move || others.with(|others| !others.is_empty());
    // A link may name a run of another survey, whose answers can't stand in the same charts.
    let foreign = move || {
        let survey = shown.get()?.1;
        let other = beside.info.with(|info| info.as_ref().map(|info| info.survey.clone()))?;
        (other != survey).then(|| {
            format!("The run beside is of another survey, {other}: its voices aren’t shown.")
        })
    };
    view! {
        <Show when=some>
            <label class="field beside">
                "Show beside"
                <select data-testid="beside" on:change=choose>
                    <option value="">"no other run"</option>
                    {options}
                </select>
            </label>
        </Show>
        {move || foreign().map(|text| view! { <p class="meta" role="status">{text}</p> })}
        {move || beside.error.get().map(|error| view! { <ErrorNote error/> })}
    }
    .into_any()
}

/// The other runs of a survey.
fn others(runs: Vec<SurveyRunInfo>, id: &str, survey: &str) -> Vec<SurveyRunInfo> {
    runs.into_iter()
        .filter(|run| run.id != id && run.survey == survey && run.answered > 0 && !run.outdated)
        .collect()
}

fn name(info: &SurveyRunInfo) -> String {
    match &info.recorded {
        Some(model) => format!("{model}, recorded"),
        None => format!("{}, {} voices, {}", info.id, info.voices.len(), minutes(&info.created)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scores::tests::{run, survey};
    use super::*;

    #[test]
    fn only_other_runs_of_the_survey_with_answers_are_offered() {
        let survey = survey();
        let info = |id: &str, of: &str, answered: usize| SurveyRunInfo {
            id: id.to_owned(),
            survey: of.to_owned(),
            answered,
            ..run(&survey, &[("THA", 0)]).info
        };
        let mut runs =
            vec![info("a", "s", 4), info("b", "s", 4), info("c", "t", 4), info("d", "s", 0)];
        runs.push(SurveyRunInfo { outdated: true, ..info("e", "s", 4) });
        let offered = others(runs, "a", "s");
        assert_eq!(offered.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["b"]);
        let recorded = SurveyRunInfo { recorded: Some("Llama".to_owned()), ..offered[0].clone() };
        assert_eq!(name(&recorded), "Llama, recorded");
        assert!(name(&offered[0]).starts_with("b, 1 voices"));
    }
}
