//! Settings, presets and the command line that repeats them.

use super::*;

fn codes(list: &[&str]) -> Vec<CultureCode> {
    list.iter().map(|code| code.parse().unwrap()).collect()
}

#[test]
fn presets_keep_their_own_rules() {
    let cultures = codes(&["USA", "DEU", "THA", "NGA"]);
    for preset in Preset::ALL {
        let request = preset.request(&cultures);
        assert_eq!(request.check(), Ok(()), "{preset}");
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<MethodRequest>(&json).unwrap(), request);
    }
    let paper = Preset::Paper.request(&cultures);
    assert_eq!(
        (paper.per_topic, paper.epochs, paper.accumulation),
        (Some(1000), Some(1), Some(32))
    );
    assert_eq!(paper.learning_rate, Some(1e-4));
    assert_eq!(paper.adapters.unwrap().len(), 5);
    assert_eq!(far_apart(&codes(&["USA", "KEN"])), codes(&["USA", "KEN"]));
}

#[test]
fn what_breaks_a_rule_is_named() {
    let request = MethodRequest::default;
    for (request, name) in [
        (MethodRequest { run: Some("../x".to_owned()), ..request() }, "`../x`"),
        (MethodRequest { run: Some(String::new()), ..request() }, "``"),
        (
            MethodRequest { per_topic: Some(0), ..request() },
            "`per_topic` must be 1 to 10000, not 0",
        ),
        (MethodRequest { seeds_per_topic: Some(0), ..request() }, "`seeds_per_topic`"),
        (MethodRequest { epochs: Some(1001), ..request() }, "`epochs`"),
        (MethodRequest { accumulation: Some(0), ..request() }, "`accumulation`"),
        (MethodRequest { learning_rate: Some(-1.0), ..request() }, "`learning_rate`"),
        (MethodRequest { learning_rate: Some(f64::NAN), ..request() }, "`learning_rate`"),
        (MethodRequest { cultures: Some(vec![]), ..request() }, "`cultures` must name at least 1"),
        (MethodRequest { cultures: Some(codes(&["THA", "THA"])), ..request() }, "`THA` twice"),
        (MethodRequest { adapters: Some(vec![]), ..request() }, "`adapters`"),
        (
            MethodRequest {
                cultures: Some(codes(&["THA"])),
                adapters: Some(vec!["joint".parse().unwrap(), "KEN".parse().unwrap()]),
                ..request()
            },
            "`adapters` names `KEN`",
        ),
        (
            MethodRequest {
                rule: Some(CollectionRule::Shift),
                samples: Some(Elicitation::Samples(1)),
                ..request()
            },
            "`samples` must be 2 or more, or `off`, for the rule `shift`, not 1",
        ),
        (MethodRequest { samples: Some(Elicitation::Samples(65)), ..request() }, "`samples`"),
    ] {
        let error = request.check().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains('\n'), "{error}");
    }
    assert_eq!(request().check(), Ok(()));
}

#[test]
fn a_shift_takes_probabilities_or_several_replies() {
    for samples in [None, Some(Elicitation::Probabilities), Some(Elicitation::Samples(2))] {
        let rule = Some(CollectionRule::Shift);
        assert_eq!(MethodRequest { rule, samples, ..Default::default() }.check(), Ok(()));
    }
    let samples = Some(Elicitation::Samples(1));
    assert_eq!(MethodRequest { samples, ..Default::default() }.check(), Ok(()));
}

#[test]
fn reading_probabilities_can_be_said_beside_a_preset_that_draws() {
    let paper = Preset::Paper.request(&codes(&["THA"]));
    let samples = Some(Elicitation::Probabilities);
    let mine = MethodRequest { samples, ..paper.clone() };
    assert_eq!(mine.beyond(&paper).options(), "--samples off");
    assert_eq!("off".parse(), Ok(Elicitation::Probabilities));
    assert_eq!(mine.beyond(&paper).or(paper), mine);
    for (json, expect) in [
        (r#"{"samples":"off"}"#, Some(Elicitation::Probabilities)),
        (r#"{"samples":3}"#, Some(Elicitation::Samples(3))),
        (r#"{"samples":null}"#, None),
        ("{}", None),
    ] {
        let request: MethodRequest = serde_json::from_str(json).unwrap();
        assert_eq!(request.samples, expect, "{json}");
        let again = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<MethodRequest>(&again).unwrap(), request);
    }
    for json in [r#"{"samples":"many"}"#, r#"{"samples":-1}"#, r#"{"samples":[1]}"#] {
        let error = serde_json::from_str::<MethodRequest>(json).unwrap_err().to_string();
        assert!(error.contains("`samples` must be a number of replies or `off`"), "{error}");
    }
}

#[test]
fn an_unknown_setting_is_named() {
    let error = serde_json::from_str::<MethodRequest>("{\"per_topics\": 3}").unwrap_err();
    assert!(error.to_string().contains("`per_topics`"), "{error}");
}

#[test]
fn a_command_says_only_what_differs_from_its_preset() {
    let cultures = codes(&["USA", "DEU", "THA", "NGA"]);
    let quick = Preset::Quick.request(&cultures);
    assert_eq!(quick.beyond(&quick).options(), "");
    let mine = MethodRequest {
        per_topic: Some(2),
        adapters: Some(vec![AdapterTarget::Joint, "THA".parse().unwrap()]),
        learning_rate: Some(5e-4),
        ..quick.clone()
    };
    let options = mine.beyond(&quick).options();
    assert_eq!(options, "--per-topic 2 --adapters joint,THA --learning-rate 5e-4");
    assert_eq!(mine.beyond(&quick).or(quick), mine);
}

#[test]
fn leaving_an_adapter_out_moves_no_other() {
    let json = r#"{"survey":"s","base_hash":"0","seed":7,"per_topic":1,"cultures":["USA","THA"],
        "learning_rate":1e-4,"epochs":1,"accumulation":1}"#;
    let old: MethodSettings = serde_json::from_str(json).unwrap();
    let names = |settings: &MethodSettings| {
        let all = settings.adapters().into_iter();
        all.map(|(place, target)| (place, target.name())).collect::<Vec<_>>()
    };
    let expect = [(0, "joint"), (1, "specific-USA"), (2, "specific-THA")];
    assert_eq!(names(&old), expect.map(|(place, name)| (place, name.to_owned())));
    let one = MethodSettings { adapters: Some(vec!["THA".parse().unwrap()]), ..old };
    assert_eq!(names(&one), [(2, "specific-THA".to_owned())]);
}
