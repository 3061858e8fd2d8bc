//! The evaluation as a table that can stand in a document as it is printed.

use domain::score::{Ability, CrossScores, Movement};
use domain::survey::evaluated_in_words;

use crate::jobs::evaluate::variants::Robustness;
use crate::jobs::evaluate::{Baselines, EvaluationReport, Gain, Gains, Row, Scores, TopicRow};

/// Two decimals, or a dash for nothing.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}

fn gain(gain: Option<Gain>) -> String {
    let Some(Gain { gain, interval }) = gain else { return "–".to_owned() };
    match interval {
        Some(interval) => format!("{gain:+.2} [{:+.2}, {:+.2}]", interval.low, interval.high),
        None => format!("{gain:+.2}"),
    }
}

/// The whole report in Markdown.
pub(super) fn table(report: &EvaluationReport) -> String {
    let mut lines = vec![
        format!(
            "{} `{}` on the {} of the survey `{}`{}, metric {} x 100{}",
            report.model,
            report.model_hash,
            evaluated_in_words(report.questions, report.held_out),
            report.survey,
            seen(report.seen),
            report.metric,
            if report.simulated { "; the reference is simulated, nobody was asked" } else { "" },
        ),
        adapters(report),
        String::new(),
        format!("| culture {}", heads(report)),
        format!("|---{COLUMNS}"),
    ];
    lines.extend(report.rows.iter().chain([&report.mean]).map(row));
    lines.push(String::new());
    lines.push(
        "In brackets: 95 % paired bootstrap intervals over questions; for the mean, all cultures \
         are scored on the same draw."
            .to_owned(),
    );
    lines.extend(topics(report));
    lines.extend(few_specific(report));
    lines.extend(uses_reference(report));
    lines.extend(refusals(report));
    let moved = report.movement.iter();
    lines.extend(moved.filter_map(|(voice, moved)| movement(&marked(report, voice), moved)));
    lines.extend(report.ability.iter().map(|(name, ability)| guard(name, ability)));
    lines.extend(report.cross.iter().map(|found| cross(&marked(report, "specific"), found)));
    let layouts = report.robustness.iter();
    lines.extend(layouts.map(|(voice, found)| robustness(&marked(report, voice), found)));
    lines.join("\n")
}

/// A kind of voice by its name; what rests on people's answers has a mark, which [`uses_reference`] explains.
fn marked(report: &EvaluationReport, kind: &str) -> String {
    match report.uses_reference.iter().any(|marked| marked == kind) {
        true => format!("{kind} †"),
        false => kind.to_owned(),
    }
}

/// What the run knows of another survey's questions.
fn seen(seen: Option<usize>) -> String {
    let seen = match seen {
        None => return String::new(),
        Some(0) => "none".to_owned(),
        Some(count) => count.to_string(),
    };
    format!(
        " (the run learnt from another one and has seen {seen} of them in these or nearly these words)"
    )
}

/// Ten columns of numbers.
const COLUMNS: &str = "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

/// The mean over cultures topic by topic.
fn topics(report: &EvaluationReport) -> Vec<String> {
    if report.topics.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        String::new(),
        "By topic, means over cultures; a topic has few questions, so that intervals are wide:"
            .to_owned(),
        String::new(),
        format!("| topic | questions {}", heads(report)),
        format!("|---|---:{COLUMNS}"),
    ];
    lines.extend(report.topics.iter().map(|topic| {
        let TopicRow { name, questions, scores, gains, baselines, .. } = topic;
        format!("| {name} | {questions} | {} |", cells(scores, gains, baselines).join(" | "))
    }));
    lines.push(String::new());
    lines
}

/// The columns of numbers.
fn heads(report: &EvaluationReport) -> String {
    let (joint, specific) = (marked(report, "joint"), marked(report, "specific"));
    format!(
        "| unaware | aware | {joint} | {specific} | aware − unaware | {joint} − aware \
         | {specific} − aware | random | middle | like USA |"
    )
}

/// That some voices are no fair test, if they are none.
fn uses_reference(report: &EvaluationReport) -> Option<String> {
    (!report.uses_reference.is_empty()).then(|| {
        "† Tuned on answers that were given after seeing people's answers to neighbouring questions (P3): \
         comparing these voices with people is no fair test of the model."
            .to_owned()
    })
}

/// Where some cultures have no adapter of their own, the means of those adapters are over the others.
fn few_specific(report: &EvaluationReport) -> Option<String> {
    let own = report.with_specific();
    if own.is_empty() || own.len() == report.rows.len() {
        return None;
    }
    let codes: Vec<String> = own.iter().map(ToString::to_string).collect();
    Some(format!(
        "The means of `specific` and `specific − aware` are over the {} of {} cultures that have an \
         adapter of their own: {}.",
        own.len(),
        report.rows.len(),
        codes.join(", ")
    ))
}

/// Which voices gave no opinion, and how often.
fn refusals(report: &EvaluationReport) -> Option<String> {
    let told = report.refusals.iter().filter(|(_, refusals)| refusals.total() > 0);
    let told: Vec<String> = told
        .map(|(voice, refusals)| format!("{voice} {} of {}", refusals.total(), refusals.asked))
        .collect();
    (!told.is_empty()).then(|| {
        format!("Answers without an opinion (\"don't know\" or unreadable): {}.", told.join(", "))
    })
}

/// Of the answers that differ from the unaware voice's, how many come nearer to people's.
fn movement(voice: &str, moved: &Movement) -> Option<String> {
    let changed = moved.changed();
    let share = |part: usize| 100.0 * part as f64 / changed as f64;
    (changed > 0).then(|| {
        format!(
            "Of the {changed} answers (of {}) that the {voice} voices give otherwise than the unaware one, \
             {:.0} % move toward people and {:.0} % away.",
            moved.questions,
            share(moved.toward),
            share(moved.away)
        )
    })
}

/// The guard of general ability.
fn guard(name: &str, ability: &Ability) -> String {
    let interval = ability.interval.map_or_else(String::new, |interval| {
        format!(" [{:+.3}, {:+.3}]", interval.low, interval.high)
    });
    format!(
        "General ability: the loss on {} replies of ordinary conversations goes from {:.3} to {:.3} nats \
         per token with the adapter {name} ({:+.3}{interval}){}",
        ability.replies,
        ability.before,
        ability.after,
        ability.cost(),
        if ability.is_worse() { ": it talks worse. `--general 0.25` protects it." } else { "." }
    )
}

/// What the layout of the options changes.
fn robustness(voice: &str, found: &Robustness) -> String {
    let layouts = found.layouts.iter().map(|(layout, score)| format!("{layout} {score:.2}"));
    format!(
        "Options laid out otherwise, {voice}: {}; averaged {:.2}, spread {:.2}.",
        layouts.collect::<Vec<_>>().join(", "),
        found.averaged,
        found.spread
    )
}

/// A row per adapter, a column per culture; `voices` names the voices, with their mark if they have one.
fn cross(voices: &str, cross: &CrossScores) -> String {
    let heads: Vec<String> = cross.cultures.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        String::new(),
        format!(
            "Every culture's own adapter ({voices}, rows) asked as every culture (columns), against that \
             culture's people:"
        ),
        String::new(),
        format!("| adapter | {} |", heads.join(" | ")),
        format!("|---|{}", "---:|".repeat(heads.len())),
    ];
    lines.extend(cross.adapters.iter().zip(&cross.values).map(|(adapter, values)| {
        let cells = cross.cultures.iter().zip(values).map(|(code, value)| {
            let cell = number(*value);
            if code == adapter { format!("**{cell}**") } else { cell }
        });
        format!("| {adapter} | {} |", cells.collect::<Vec<_>>().join(" | "))
    }));
    lines.push(String::new());
    lines.push(match cross.own_gain {
        Some(own) => format!(
            "A culture's own adapter is closer to its people than the others by {}, mean over {} \
             cultures.",
            gain(Some(Gain { gain: own.gain, interval: own.interval })),
            own.cultures
        ),
        None => "No culture's own adapter can be compared with others.".to_owned(),
    });
    lines.join("\n")
}

fn adapters(report: &EvaluationReport) -> String {
    let named: Vec<String> =
        report.adapters.iter().map(|(name, hash)| format!("{name} `{hash}`")).collect();
    match named.is_empty() {
        true => "No adapter is loaded: run `polylogue tune` first.".to_owned(),
        false => format!("Adapters: {}", named.join(", ")),
    }
}

fn row(row: &Row) -> String {
    let name = row.culture.map_or_else(|| "**mean**".to_owned(), |code| code.to_string());
    let cells = cells(&row.scores, &row.gains, &row.baselines);
    format!("| {name} | {} |", cells.join(" | "))
}

/// What stands under [`heads`].
fn cells(scores: &Scores, gains: &Gains, baselines: &Baselines) -> Vec<String> {
    let Scores { unaware, aware, joint, specific } = *scores;
    let Gains { aware_over_unaware, joint_over_aware, specific_over_aware } = *gains;
    let Baselines { random, middle, like_usa } = *baselines;
    let scores = [unaware, aware, joint, specific].map(number);
    let gains = [aware_over_unaware, joint_over_aware, specific_over_aware].map(gain);
    scores.into_iter().chain(gains).chain([random, middle, like_usa].map(number)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::culture::CultureCode;
    use domain::score::{Interval, Metric, OwnGain, Refusals};

    use super::*;
    use crate::jobs::evaluate::ScoreIntervals;

    #[test]
    fn topics_are_a_table_with_intervals_and_baselines() {
        let text = table(&report(&[Some(1.0)]));
        let head = "| topic | questions | unaware | aware | joint | specific | aware − unaware |";
        assert!(text.contains(head), "{text}");
        let row = "| Work | 2 | – | 60.00 | – | – | +3.00 [-1.00, +7.00] | – | – | – | 50.00 | – |";
        assert!(text.contains(row), "{text}");
        let columns = |line: &str| line.matches('|').count();
        let lines: Vec<&str> =
            text.lines().skip_while(|line| !line.starts_with("| topic")).collect();
        assert_eq!((columns(lines[0]), columns(lines[1])), (columns(lines[2]), columns(lines[2])));
        let none = EvaluationReport { topics: vec![], ..report(&[Some(1.0)]) };
        assert!(!table(&none).contains("By topic"));
    }

    #[test]
    fn cells_are_short_and_honest() {
        assert_eq!(number(None), "–");
        assert_eq!(number(Some(66.666)), "66.67");
        let interval = Some(Interval { low: -0.5, high: 2.0 });
        assert_eq!(gain(Some(Gain { gain: 1.0, interval })), "+1.00 [-0.50, +2.00]");
        assert_eq!(gain(None), "–");
    }

    fn report(specific: &[Option<f64>]) -> EvaluationReport {
        let codes = ["THA", "KEN", "USA"].map(|code| code.parse().unwrap());
        let row = |(code, specific): (&CultureCode, &Option<f64>)| Row {
            culture: Some(*code),
            questions: 4,
            scores: Scores { specific: *specific, ..Scores::default() },
            gains: Gains::default(),
            baselines: Baselines::default(),
        };
        let rows: Vec<Row> = codes.iter().zip(specific).map(row).collect();
        EvaluationReport {
            run: "r".to_owned(),
            model: "m".to_owned(),
            model_hash: "h".to_owned(),
            adapters: BTreeMap::new(),
            survey: "s".to_owned(),
            simulated: true,
            metric: Metric::Alignment,
            questions: 4,
            held_out: Some(true),
            seen: None,
            uses_reference: Vec::new(),
            mean: Row { culture: None, ..rows[0].clone() },
            rows,
            topics: vec![TopicRow {
                topic: "work".into(),
                name: "Work".to_owned(),
                questions: 2,
                scores: Scores { aware: Some(60.0), ..Scores::default() },
                intervals: ScoreIntervals::default(),
                gains: Gains {
                    aware_over_unaware: Some(Gain {
                        gain: 3.0,
                        interval: Some(Interval { low: -1.0, high: 7.0 }),
                    }),
                    ..Gains::default()
                },
                baselines: Baselines { middle: Some(50.0), ..Baselines::default() },
            }],
            refusals: BTreeMap::from([
                ("aware".to_owned(), Refusals { asked: 8, unreadable: 1, dont_know: 2 }),
                ("joint".to_owned(), Refusals { asked: 8, ..Refusals::default() }),
            ]),
            cross: None,
            movement: BTreeMap::new(),
            ability: None,
            robustness: BTreeMap::new(),
        }
    }

    #[test]
    fn a_mean_over_some_cultures_says_so() {
        let told = |specific: &[Option<f64>]| few_specific(&report(specific));
        assert_eq!(told(&[None, None]), None);
        assert_eq!(told(&[Some(1.0), Some(2.0)]), None);
        let some = told(&[Some(1.0), None, Some(2.0)]).unwrap();
        assert!(some.contains("over the 2 of 3 cultures") && some.contains("THA, USA"), "{some}");
        let text = table(&report(&[None, Some(1.0)]));
        assert!(text.contains("over the 1 of 2 cultures"), "{text}");
        assert!(text.contains("aware 3 of 8.") && !text.contains("joint 0"), "{text}");
    }

    #[test]
    fn what_lies_beside_the_scores_is_said_in_sentences() {
        let moved = Movement { questions: 20, toward: 6, away: 3, level: 1 };
        let told = movement("aware", &moved).unwrap();
        assert!(
            told.contains("the 10 answers (of 20)") && told.contains("60 % move toward"),
            "{told}"
        );
        assert_eq!(movement("aware", &Movement { questions: 20, ..Movement::default() }), None);
        let ability = |low| Ability {
            replies: 200,
            tokens: 900,
            before: 1.0,
            after: 1.25,
            interval: Some(Interval { low, high: 0.4 }),
        };
        let told = guard("joint", &ability(0.1));
        assert!(
            told.contains("1.000 to 1.250") && told.contains("(+0.250 [+0.100, +0.400])"),
            "{told}"
        );
        assert!(told.ends_with("`--general 0.25` protects it."), "{told}");
        assert!(guard("joint", &ability(-0.1)).ends_with("+0.400])."));
        let layouts = [("as-written", 70.0), ("reversed", 65.5)].into();
        let told = robustness("aware", &Robustness { layouts, averaged: 71.0, spread: 4.5 });
        assert!(
            told.contains("as-written 70.00, reversed 65.50; averaged 71.00, spread 4.50"),
            "{told}"
        );
    }

    #[test]
    fn what_was_held_out_and_what_rests_on_people_is_said() {
        let usual = report(&[Some(1.0)]);
        let text = table(&usual);
        assert!(text.contains("on the 4 held-out questions of the survey `s`"), "{text}");
        assert!(text.contains("| joint | specific |") && !text.contains('†'), "{text}");
        let kinds = ["joint", "specific"].map(str::to_owned).to_vec();
        let moved = Movement { questions: 20, toward: 6, away: 3, level: 1 };
        let movement = ["aware", "joint"].map(|kind| (kind.to_owned(), moved)).into();
        let found =
            Robustness { layouts: [("reversed", 65.5)].into(), averaged: 71.0, spread: 4.5 };
        let robustness = BTreeMap::from([("aware", found.clone()), ("joint", found)]);
        let marked = EvaluationReport {
            held_out: Some(false),
            seen: Some(2),
            uses_reference: kinds,
            movement,
            robustness,
            ..usual
        };
        let text = table(&marked);
        assert!(text.contains("4 questions (which were seeds too, as in the paper) of"), "{text}");
        assert!(text.contains("| joint † | specific † |"), "{text}");
        assert!(
            text.contains("of the survey `s` (the run learnt from another one and has seen 2 of")
        );
        assert!(text.contains("| joint † − aware | specific † − aware |"), "{text}");
        assert!(text.contains("the joint † voices") && text.contains("the aware voices"), "{text}");
        assert!(
            text.contains("otherwise, joint †:") && text.contains("otherwise, aware:"),
            "{text}"
        );
        assert!(
            text.contains("† Tuned on answers that were given after seeing people's"),
            "{text}"
        );
    }

    #[test]
    fn adapters_on_cultures_are_a_table_with_the_own_ones_marked() {
        let codes: Vec<CultureCode> = ["THA", "KEN"].map(|code| code.parse().unwrap()).into();
        let found = CrossScores {
            adapters: codes.clone(),
            cultures: codes,
            values: vec![vec![Some(70.0), Some(60.0)], vec![None, Some(65.0)]],
            own_gain: Some(OwnGain {
                gain: 5.0,
                interval: Some(Interval { low: 1.0, high: 9.0 }),
                cultures: 1,
            }),
            home_gains: vec![],
        };
        let shown = cross("specific †", &found);
        assert!(shown.contains("(specific †, rows)"), "{shown}");
        assert!(shown.contains("| THA | **70.00** | 60.00 |"), "{shown}");
        assert!(shown.contains("| KEN | – | **65.00** |"), "{shown}");
        assert!(shown.contains("by +5.00 [+1.00, +9.00], mean over 1"), "{shown}");
    }
}
