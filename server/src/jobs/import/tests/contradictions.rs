//! Two rows that say different things of one thing: the later one is rejected with its line, and nothing is
//! decided in silence.

use super::*;

#[test]
fn a_later_row_of_a_table_may_not_contradict_its_question() {
    let table = "question_id,topic,question,options,first_number,scale,dont_know,held_out,culture,culture_name,demonym,shares\n\
                 A,Daily life,Well?,Yes|No|Don't know,1,ordered,,no,THA,,,0.5|0.5|0\n";
    for (row, expect) in [
        ("A,Work,,,,,,,KEN,,,1|0|0", "another `topic`, `Daily life`, not `Work`"),
        ("A,Daily-life,,,,,,,KEN,,,1|0|0", "is called `Daily life` already, not `Daily-life`"),
        ("A,,Other?,,,,,,KEN,,,1|0|0", "with another text"),
        ("A,,,No|Yes|Don't know,,,,,KEN,,,1|0|0", "`options`, `Yes|No|Don't know`, not `No|Yes|"),
        ("A,,,,0,,,,KEN,,,1|0|0", "another `first_number`, 1, not 0"),
        ("A,,,,,nominal,,,KEN,,,1|0|0", "another `scale`, not `nominal`"),
        ("A,,,,,,2,,KEN,,,1|0|0", "another `dont_know`, not `2`"),
        ("A,,,,,,,yes,KEN,,,1|0|0", "another `held_out`, not `yes`"),
        ("A,,,,,,,,KEN,,,1|0", "3 options, so there must be 3 shares, not 2"),
        ("A,,,,,,,,KEN,,,1|0|0|0", "3 options, so there must be 3 shares, not 4"),
        ("A,,,,,,,,,,,1|0|0", "without a culture"),
        ("A,,,,,,,,THA,,,1|0|0", "stand there twice"),
    ] {
        let (survey, rejected) = read_text("mine.csv", &format!("{table}{row}\n")).unwrap();
        assert_eq!(rejected.total, 1, "{row}: {rejected:?}");
        let told = &rejected.listed[0];
        assert_eq!((told.file.as_str(), told.line), ("mine.csv", 3), "{row}");
        assert!(told.reason.contains(expect), "{row}: {}", told.reason);
        assert_eq!((survey.questions.len(), survey.cultures.len()), (1, 1), "{row}");
    }
    // What is repeated as it was, in other case or as it was completed, is no contradiction.
    for row in [
        "A,Daily life,Well?,Yes|No|Don't know,1,ordered,,no,KEN,,,1|0|0",
        "A,daily life,,Yes | No | Don't know,,,3,false,KEN,,,1|0|",
        "A,,,,,,,,KEN,,,||",
    ] {
        let (_, rejected) = read_text("mine.csv", &format!("{table}{row}\n")).unwrap();
        assert_eq!(rejected.total, 0, "{row}: {rejected:?}");
    }
}

#[test]
fn topics_without_latin_letters_stay_apart() {
    let table = "question_id,topic,question,options,culture,shares\n\
                 A,生活,好吗?,是|否,CHN,0.5|0.5\n\
                 B,工作,好吗?,是|否,CHN,0.5|0.5\n";
    let (survey, rejected) = read_text("mine.csv", table).unwrap();
    assert_eq!(rejected.total, 0, "{rejected:?}");
    let names: Vec<&str> = survey.topics.iter().map(|topic| topic.name.as_str()).collect();
    assert_eq!(names, ["生活", "工作"]);
}

#[test]
fn a_later_record_may_not_contradict_an_earlier_one() {
    for (lines, expect) in [
        (
            [
                r#"{"record": "survey", "id": "one", "title": "One"}"#,
                r#"{"record": "survey", "id": "two", "title": "Two", "simulated": true}"#,
            ],
            "the survey is described in line 3 already",
        ),
        (
            [
                r#"{"record": "topic", "id": "t", "name": "Tea"}"#,
                r#"{"record": "topic", "id": "t", "name": "Trains"}"#,
            ],
            "the topic `t` is called `Tea` already, not `Trains`",
        ),
        (
            [
                r#"{"record": "culture", "code": "THA-north", "name": "North", "demonym": "Northern"}"#,
                r#"{"record": "culture", "code": "THA-north", "name": "South", "demonym": "Southern"}"#,
            ],
            "`THA-north` is declared twice",
        ),
        (
            [
                r#"{"record": "similarity", "culture": "THA", "to": {"THA": 100}}"#,
                r#"{"record": "similarity", "culture": "THA", "to": {"THA": 90}}"#,
            ],
            "the similarities of `THA` stand there twice",
        ),
        (
            [
                r#"{"record": "neighbours", "question": "A", "nearest": []}"#,
                r#"{"record": "neighbours", "question": "A", "nearest": ["A"]}"#,
            ],
            "the neighbours of `A` stand there twice",
        ),
        (
            ["", r#"{"record": "similarity", "culture": "THA", "to": {"KEN": 40, "KEN": 50}}"#],
            "the similarities of `THA` name `KEN` twice",
        ),
        (
            ["", r#"{"record": "neighbours", "question": "A", "nearest": ["A", "A"]}"#],
            "the neighbours of `A` name `A` twice",
        ),
        (
            [
                "",
                r#"{"record": "people", "culture": "KEN", "question": "A", "shares": {"1": 0.4, "2": 0.1, "1": 0.5}}"#,
            ],
            "the share of option 1 of `A` stands there twice",
        ),
    ] {
        let text = format!("{GOOD}{}\n", lines.join("\n"));
        let (survey, rejected) = read_text("mine.jsonl", &text).unwrap();
        assert_eq!(rejected.total, 1, "{text}: {rejected:?}");
        let told = &rejected.listed[0];
        assert_eq!((told.file.as_str(), told.line), ("mine.jsonl", 4), "{text}");
        assert!(told.reason.contains(expect), "{}", told.reason);
        assert_ne!(survey.id, "two", "the first one stays");
    }
    // Records come in any order: a topic may be named after the question that belongs to it.
    let text = format!("{GOOD}{}\n", r#"{"record": "topic", "id": "t", "name": "Tea"}"#);
    let (survey, rejected) = read_text("mine.jsonl", &text).unwrap();
    assert_eq!((rejected.total, survey.topics[0].name.as_str()), (0, "Tea"));
}

#[test]
fn a_country_without_a_share_for_every_option_is_told() {
    for shares in ["[0.5]", "[0.5, 0.3, 0.2]"] {
        let row = format!(
            "\"Do you vote?\",\"{{'Brazil': [0.7, 0.3], 'Kenya': {shares}}}\",\"['Yes', 'No']\",WVS\n"
        );
        let text = format!("question,selections,options,source\n{row}");
        let (survey, rejected) = read_text("opinions.csv", &text).unwrap();
        assert_eq!((rejected.total, rejected.listed[0].line), (1, 2), "{rejected:?}");
        let reason = &rejected.listed[0].reason;
        assert!(reason.contains("Kenya: `O1` has 2 options"), "{reason}");
        assert_eq!(survey.cultures.len(), 1, "people of Brazil stay");
    }
}
