//! The page with all comparisons, and one chart beside each.

use std::fmt::Write;

use domain::score::Interval;
use domain::survey::evaluated_in_words;
use serde::Serialize;

use super::chart::{self, Bar};
use super::section::{Claim, Entry, Says, Section, Verdict};

/// All comparisons of one base run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The base run.
    pub run: String,
    /// The base model's name.
    pub model: String,
    /// First digits of its hash.
    pub model_hash: String,
    /// The survey's title.
    pub survey: String,
    /// Whether its people are simulated.
    pub simulated: bool,
    /// Questions that every voice answers.
    pub questions: usize,
    /// Whether they are held out.
    pub held_out: bool,
    /// Cultures.
    pub cultures: usize,
    /// The base run's settings as options of the command.
    pub options: String,
    /// Its instances.
    pub instances: usize,
    /// Whether they were answered after seeing people's answers (P3), so that no adapter's closeness to people
    /// is a fair test.
    pub uses_reference: bool,
    /// What answering without looking reaches.
    pub baselines: Vec<Entry>,
    /// The comparisons.
    pub sections: Vec<Section>,
}

impl Report {
    /// The page in Markdown; charts are named relative to `charts`.
    pub fn markdown(&self, charts: &str) -> String {
        let mut page = format!(
            "# Experiments\n\n\
             Made by `polylogue experiments {}` with {} (`{}`), {} instances, {} cultures and {} of \
             {}. {}Scores are alignment x 100 (the paper's), means over cultures. In \
             brackets: 95 % paired bootstrap intervals over questions, which all cultures share. Every \
             comparison is one run with one seed: an interval says how much the questions matter, not \
             the seed. Claims are the paper's (arXiv 2410.12971); those that are only what one would \
             expect say so.\n{}",
            self.options,
            self.model,
            self.model_hash,
            self.instances,
            self.cultures,
            evaluated_in_words(self.questions, Some(self.held_out)),
            self.survey,
            if self.simulated { "**The people are simulated**; nobody was asked. " } else { "" },
            self.without_looking(),
        );
        if self.uses_reference {
            page.push_str(
                "\n† Adapters here learnt answers that were given after seeing people's answers to neighbouring \
                 questions (P3), unless it says that they were collected otherwise: comparing them with \
                 people is no fair test of the model.\n",
            );
        }
        for section in &self.sections {
            let mark =
                if self.uses_reference && section.compares_with_people() { " †" } else { "" };
            page.push_str(&section_page(section, mark, charts));
        }
        page
    }

    /// The baselines in a sentence of their own: a score means little without them.
    fn without_looking(&self) -> String {
        let told = self.baselines.iter().filter_map(|Entry { label, score, note, .. }| {
            let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
            Some(format!("{label} {:.2}{note}", (*score)?))
        });
        let told: Vec<String> = told.collect();
        match told.is_empty() {
            true => String::new(),
            false => format!("\nAnswering without looking scores: {}.\n", told.join(", ")),
        }
    }

    /// File name and SVG text of every chart. A comparison without anything measured has none.
    pub fn charts(&self) -> Vec<(String, String)> {
        let chart = |section: &Section| {
            let bar = |entry: &Entry| Bar {
                label: entry.label.clone(),
                value: entry.difference,
                interval: entry.interval,
            };
            let bars: Vec<Bar> = section.entries.iter().map(bar).collect();
            (file(section), chart::draw(section.title, section.unit, &bars))
        };
        self.sections.iter().filter(|section| !section.entries.is_empty()).map(chart).collect()
    }
}

fn file(section: &Section) -> String {
    format!("experiment-{}.svg", section.key)
}

/// `mark` follows its heading.
fn section_page(section: &Section, mark: &str, charts: &str) -> String {
    let mut page = format!("\n## {}{mark}\n\n{}\n\n", section.title, section.measure);
    if section.entries.is_empty() {
        page.push_str("Nothing could be measured.\n");
        return page;
    }
    let _ = writeln!(page, "![{}]({charts}/{})\n", section.title, file(section));
    let scored = section.entries.iter().any(|entry| entry.score.is_some());
    let _ = match scored {
        true => writeln!(page, "| | score | {} | |\n|---|---:|---:|---|", section.unit),
        false => writeln!(page, "| | {} | |\n|---|---:|---|", section.unit),
    };
    // Losses and correlations are small numbers.
    let digits = if scored { 2 } else { 3 };
    for Entry { label, score, difference, interval, note } in &section.entries {
        let score = match (scored, score) {
            (false, _) => String::new(),
            (true, Some(score)) => format!(" {score:.2} |"),
            (true, None) => " – |".to_owned(),
        };
        let difference = number(*difference, *interval, digits);
        let _ = writeln!(page, "| {label} |{score} {difference} | {note} |");
    }
    if !section.claims.is_empty() {
        page.push('\n');
    }
    for Claim { text, says, difference, interval, threshold, verdict, over } in &section.claims {
        let difference = number(*difference, *interval, digits);
        let over = over.as_ref().map_or_else(String::new, |over| format!(", {over}"));
        let why = match verdict {
            Verdict::Undecided if interval.is_none() => ", there is no interval".to_owned(),
            Verdict::Undecided if *threshold == 0.0 => ", the interval holds zero".to_owned(),
            Verdict::Undecided => format!(", the interval holds {threshold:+.digits$}"),
            _ => String::new(),
        };
        let verdict = verdict.as_str(*says);
        let whose = if *says == Says::Paper { "" } else { "Expected: " };
        let _ = writeln!(page, "- {whose}{text} Here {difference}{over}: {verdict}{why}.");
    }
    page
}

fn number(value: f64, interval: Option<Interval>, digits: usize) -> String {
    match interval {
        Some(Interval { low, high }) => {
            format!("{value:+.digits$} [{low:+.digits$}, {high:+.digits$}]")
        }
        None => format!("{value:+.digits$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_every_entry_its_chart_and_what_follows() {
        let interval = Some(Interval { low: 0.5, high: 2.0 });
        let entry = Entry {
            label: "joint".to_owned(),
            score: Some(70.0),
            difference: 1.25,
            interval,
            note: "9 instances".to_owned(),
        };
        let claim = Claim {
            text: "It helps.".to_owned(),
            says: Says::Paper,
            difference: 1.25,
            interval,
            threshold: 0.0,
            verdict: Verdict::Agrees,
            over: Some("over 1 of 2 cultures".to_owned()),
        };
        let undecided = |threshold, low| {
            Claim::above(threshold, "Nothing is lost.", 0.0, Some(Interval { low, high: 1.0 }))
        };
        let section = Section {
            key: "strategy",
            title: "One or many",
            measure: "Voices.".to_owned(),
            unit: "points",
            entries: vec![entry],
            claims: vec![
                claim.clone(),
                undecided(0.0, -1.0),
                undecided(-0.5, -0.75),
                claim.expected(),
            ],
        };
        let empty = Section {
            key: "cross",
            title: "Others",
            measure: "Nobody.".to_owned(),
            unit: "points",
            entries: vec![],
            claims: vec![],
        };
        let report = Report {
            run: "r".to_owned(),
            model: "Starter".to_owned(),
            model_hash: "abc".to_owned(),
            survey: "the survey".to_owned(),
            simulated: true,
            questions: 3,
            held_out: true,
            cultures: 2,
            options: "--seed 7".to_owned(),
            instances: 9,
            uses_reference: false,
            baselines: vec![
                Entry {
                    label: "always the middle".to_owned(),
                    score: Some(60.5),
                    difference: -9.5,
                    interval: None,
                    note: String::new(),
                },
                Entry {
                    label: "everybody like USA".to_owned(),
                    score: Some(55.0),
                    difference: -15.0,
                    interval: None,
                    note: "over 1 of 2 cultures".to_owned(),
                },
            ],
            sections: vec![section, empty],
        };
        let page = report.markdown("images");
        assert!(!page.contains('†'), "{page}");
        let ability =
            Section { key: "ability", title: "General ability", ..report.sections[0].clone() };
        let sections = vec![report.sections[0].clone(), ability];
        let marked = Report { uses_reference: true, sections, ..report.clone() }.markdown("images");
        assert!(marked.contains("\n† Adapters here learnt answers"), "{marked}");
        assert!(marked.contains("## One or many †\n"), "{marked}");
        assert!(
            marked.contains("## General ability\n"),
            "the loss on talk isn't held against people"
        );
        assert!(page.contains("| joint | 70.00 | +1.25 [+0.50, +2.00] | 9 instances |"), "{page}");
        assert!(page.contains("![One or many](images/experiment-strategy.svg)"), "{page}");
        let helps = "It helps. Here +1.25 [+0.50, +2.00], over 1 of 2 cultures: agrees";
        assert!(page.contains(helps), "{page}");
        let expected =
            "- Expected: It helps. Here +1.25 [+0.50, +2.00], over 1 of 2 cultures: as expected.";
        assert!(page.contains(expected), "{page}");
        let without = "Answering without looking scores: always the middle 60.50, everybody like USA 55.00 \
                       (over 1 of 2 cultures).";
        assert!(page.contains(without), "{page}");
        assert!(page.contains("## Others\n\nNobody.\n\nNothing could be measured"), "{page}");
        assert!(page.contains("decides nothing, the interval holds zero."), "{page}");
        assert!(page.contains("decides nothing, the interval holds -0.50."), "{page}");
        assert!(page.contains("2 cultures and 3 held-out questions of the survey."), "{page}");
        assert!(page.contains("**The people are simulated**"), "{page}");
        let charts = report.charts();
        assert_eq!((charts.len(), charts[0].0.as_str()), (1, "experiment-strategy.svg"));
        assert!(charts[0].1.contains("joint"), "{}", charts[0].1);
    }
}
