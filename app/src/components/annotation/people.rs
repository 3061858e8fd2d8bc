//! Who takes part, what each has done, invites and files.

use std::collections::BTreeMap;

use domain::annotation::{AnnotatorReport, Member, MemberId, annotator_reports};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::calm::calm;
use super::change_project::ChangeProject;
use super::desk::Desk;
use super::exports::Exports;
use super::invites::Invites;
use super::membership::Membership;
use super::my_cultures::MyCultures;

/// The people of a project.
#[component]
pub fn People(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let reports = calm(desk, annotator_reports);
    let role = Memo::new(move |_| desk.member().map(|member| member.role));
    let judges = move || role.get().is_some_and(|role| role.judges());
    let decides = move || role.get().is_some_and(|role| role.adjudicates());
    let manages = move || role.get().is_some_and(|role| role.manages());
    view! {
        <div class="participants">
            <section aria-labelledby="members">
                <h2 id="members">"Members"</h2>
                <div class="scroll" tabindex="0" role="region" aria-label="Members">
                    <table class="numbers">
                        <thead><tr>
                            {["Name", "Role", "Cultures", "Judged", "Skipped", "As the verdict",
                                "Attention checks", "Median time", ""]
                                .map(|head| view! { <th scope="col">{head}</th> }).collect_view()}
                        </tr></thead>
                        <tbody>
                            {move || desk.members.get().into_iter().map(|member| {
                                view! { <Row desk member reports/> }
                            }).collect_view()}
                        </tbody>
                    </table>
                </div>
                <details class="note">
                    <summary>"How is this computed?"</summary>
                    <p>"Judged and skipped count items as they stand now, without attention checks. As the
                        verdict: of the judged items that have a verdict (a decision, or the label of more
                        than half once enough people have judged), those with the member’s own label; their
                        own judgement is part of the majority. Attention checks: those judged as expected,
                        which only owners and adjudicators see. Median time: from when an item is shown to the
                        judgement, as the annotator’s browser measures it."</p>
                </details>
            </section>
            <Show when=judges>
                <details class="note">
                    <summary data-testid="my-cultures">"The cultures you know"</summary>
                    <MyCultures desk/>
                </details>
            </Show>
            <Show when=manages><Invites desk/><ChangeProject desk/></Show>
            <Show when=decides><Exports desk/></Show>
        </div>
    }
    .into_any()
}

#[component]
fn Row(
    desk: Desk,
    member: Member,
    reports: RwSignal<BTreeMap<MemberId, AnnotatorReport>>,
) -> impl IntoView {
    let id = member.id.clone();
    let report = Memo::new(move |_| reports.with(|all| all.get(&id).cloned().unwrap_or_default()));
    let cell = move |show: fn(&AnnotatorReport) -> String| move || report.with(show);
    let cultures: Vec<String> = member.cultures.iter().map(ToString::to_string).collect();
    let id = member.id.clone();
    view! {
        <tr data-testid="member" data-role=member.role.as_str()>
            <th scope="row">{member.shown_name()}</th>
            <td>{member.role.as_str()}</td>
            <td>{summed(&cultures)}</td>
            <td>{cell(|report| report.judged.to_string())}</td>
            <td>{cell(|report| report.skipped.to_string())}</td>
            <td>{cell(|report| of(report.as_verdict, report.with_verdict))}</td>
            <td>{cell(|report| of(report.gold_right, report.gold))}</td>
            <td>{cell(|report| seconds(report.median_milliseconds))}</td>
            <td>{(!member.left).then(|| view! { <Leave desk member=id/> })}</td>
        </tr>
    }
    .into_any()
}

/// Leaving can't be undone, so it takes two presses.
#[component]
fn Leave(desk: Desk, member: MemberId) -> impl IntoView {
    let sure = RwSignal::new(false);
    let mine = member == desk.me();
    let manages = move || desk.member().is_some_and(|me| me.role.manages());
    let words = move || match (sure.get(), mine) {
        (true, true) => "Really leave for good?",
        (true, false) => "Really, for good?",
        (false, true) => "Leave",
        (false, false) => "Send away",
    };
    let leave = move |_| {
        if !sure.get_untracked() {
            sure.set(true);
            return;
        }
        let member = member.clone();
        spawn_local(async move {
            let key = desk.key.get_value();
            match desk.annotation.get_value().leave(key.clone(), member.clone()).await {
                Ok(()) if mine => Membership::forget(&key.project, &member),
                Ok(()) => {}
                Err(error) => desk.refuse(error),
            }
            let _ = sure.try_set(false);
        });
    };
    view! {
        <Show when=move || mine || manages()>
            <button type="button" class="quiet" data-testid="leave" on:click=leave.clone()>{words}</button>
        </Show>
    }
    .into_any()
}

/// The first few of a long list.
fn summed(cultures: &[String]) -> String {
    match cultures.len() {
        0 => "none".to_owned(),
        1..=4 => cultures.join(", "),
        more => format!("{} and {} more", cultures[..3].join(", "), more - 3),
    }
}

fn of(part: usize, all: usize) -> String {
    if all == 0 { "–".to_owned() } else { format!("{part} of {all}") }
}

fn seconds(milliseconds: Option<u32>) -> String {
    milliseconds.map_or_else(|| "–".to_owned(), |ms| format!("{:.1} s", f64::from(ms) / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_short() {
        let many: Vec<String> = (0..18).map(|n| n.to_string()).collect();
        assert_eq!(summed(&many), "0, 1, 2 and 15 more");
        assert_eq!(summed(&[]), "none");
        assert_eq!((of(1, 2), of(0, 0)), ("1 of 2".to_owned(), "–".to_owned()));
        assert_eq!((seconds(Some(1540)), seconds(None)), ("1.5 s".to_owned(), "–".to_owned()));
    }
}
