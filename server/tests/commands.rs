//! The binary: what it says of bad input, that a killed `tune` goes on to the same adapter, what a killed
//! server goes on with, and that a whole run with the built-in model can be repeated byte for byte.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use app::api::{JobState, MethodRunInfo};
use domain::method::Step;
use server::jobs::testing::{engine, run_with_questions, write_tiny_model};
use server::store::Store;

fn polylogue(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polylogue"));
    command.env("POLYLOGUE_DATA", data).env_remove("POLYLOGUE_MODEL");
    command
}

#[track_caller]
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn errors_name_the_thing_and_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let (data, model) = (folder.path().join("data"), folder.path().join("model"));
    write_tiny_model(&model);
    let model = model.to_str().unwrap();
    let preset = folder.path().join("mine.toml");
    fs::write(&preset, "epochs = 2\nper_topics = 3\n").unwrap();
    let preset = preset.to_str().unwrap();
    let nothing = folder.path().join("nothing");
    let nothing = nothing.to_str().unwrap();
    for (arguments, expect) in [
        (vec!["score", nothing], "data/wvs_questions.json"),
        (vec!["import", "--format", "culturespa", nothing], "data/wvs_questions.json"),
        (vec!["import", "culturespa", nothing], "data/wvs_questions.json"),
        (vec!["import", "xml", nothing], "`xml`"),
        (vec!["import", "csv", nothing, "--format", "jsonl"], "`csv` before the source"),
        (vec!["serve", "--model", nothing], nothing),
        (vec!["evaluate", "--model", model, "--survey", "x"], "there is no survey `x`"),
        (vec!["pipeline", "--model", model, "--cultures", "XXX"], "`XXX` is not a culture"),
        (vec!["tune", "--model", model], "there is no run of the method"),
        (vec!["evaluate", "--on", "x", "--model", model], "there is no run of the method"),
        (vec!["tune", "--model", model, "--run", "x"], "there is no run `x`"),
        (vec!["run", "--model", model, "--preset", preset], "line 2: unknown field `per_topics`"),
        (vec!["run", "--model", model, "--preset", "paper", "--epochs", "0"], "`epochs` must be"),
        (vec!["run", "--model", model, "--run", "a b"], "`a b` can't name a run"),
        (vec!["reproduce", "x", "--model", model], "there is no run `x`"),
        (vec!["tune", "--model", nothing, "--run", "x"], nothing),
        (vec!["run", "--model", model, "--accepted", "x"], "there is no annotation project `x`"),
    ] {
        let output = polylogue(&data).args(&arguments).output().unwrap();
        let text = refusal(&output);
        assert!(text.contains("error: ") && text.contains("\nhint: "), "{text}");
        assert!(text.contains(expect), "{arguments:?}: {text}");
    }
    for wrong in [["serve", "--device", "gpu"], ["run", "--preset", "fast"]] {
        let output = polylogue(&data).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "wrong usage");
    }
}

#[test]
fn a_survey_is_imported_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let example = polylogue(&data).args(["import", "--example", "jsonl"]).output().unwrap();
    let example = String::from_utf8(example.stdout).unwrap();
    let (good, bad) = (folder.path().join("good.jsonl"), folder.path().join("bad.jsonl"));
    fs::write(&good, &example).unwrap();
    fs::write(&bad, example.replace("0.3", "1.3")).unwrap();
    let import = |file: &Path, more: &[&str]| {
        polylogue(&data).arg("import").arg(file).args(more).output().unwrap()
    };
    let text = refusal(&import(&bad, &[]));
    assert!(text.contains("bad.jsonl:9: the share of option 1 of `T2`"), "{text}");
    assert!(text.contains("nothing was imported") && text.contains("--skip-rejected"), "{text}");
    let text = refusal(&import(folder.path(), &[]));
    assert!(text.contains("holds several surveys"), "{text}");
    for (more, expect) in [
        (&[][..], "survey `tea-and-rain`: 3 questions, 3 cultures, 8 reference answers\n"),
        (&[][..], "it was there already"),
        (&["--format", "jsonl", "--id", "other"][..], "survey `other`"),
    ] {
        let output = import(&good, more);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains(expect), "{text}");
    }
    let output = polylogue(&data).args(["import", "x", "--format", "xml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "wrong usage");
}

#[tokio::test]
async fn a_second_process_on_the_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _held = Store::open(folder.path()).await.unwrap();
    let text = refusal(&polylogue(folder.path()).arg("serve").output().unwrap());
    let name = folder.path().to_str().unwrap();
    assert!(text.contains(name) && text.contains("in use") && text.contains("--data"), "{text}");
}

/// A data folder whose run `r` has everything that `tune` needs.
async fn ready_to_tune(folder: &Path, model: &Path) {
    let engine = engine(model);
    let store = Store::open(folder).await.unwrap();
    let method = run_with_questions(&store, &engine, "r", 12, 20).await;
    let mut go_on = |_: &_| std::ops::ControlFlow::Continue(());
    method.elicit(&mut go_on).await.unwrap();
    let collection = method.collect().await.unwrap();
    assert!(collection.instances.len() >= 16, "{:?}", collection.counts);
}

/// Updates done and wanted, from a progress line of the joint adapter.
fn updates(line: &str) -> Option<(usize, usize)> {
    let (done, rest) = line.strip_prefix("tune joint: ")?.split_once(" of ")?;
    let total = rest.split(',').next()?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

/// Every file of every adapter of run `r`.
fn adapters(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for adapter in fs::read_dir(data.join("adapters/r")).unwrap() {
        for file in fs::read_dir(adapter.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(data).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

#[tokio::test]
async fn a_killed_tune_goes_on_to_the_same_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    write_tiny_model(&model);
    let (calm, killed) = (folder.path().join("calm"), folder.path().join("killed"));
    ready_to_tune(&calm, &model).await;
    ready_to_tune(&killed, &model).await;
    let tune = |data: &Path| {
        let mut command = polylogue(data);
        command.args(["tune", "--run", "r", "--model", model.to_str().unwrap()]);
        command
    };
    let output = tune(&calm).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let mut child = tune(&killed).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    // Told every twentieth of the way: by the second time there are checkpoints, and most of the
    // work is still to do when the signal arrives.
    let told = lines.filter_map(|line| updates(&line)).find(|(done, _)| *done > 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let (done, total) = told.unwrap();
    assert!(done * 4 < total, "killed after {done} of {total} updates");
    assert!(!killed.join("adapters/r/joint/adapter_model.safetensors").exists(), "killed too late");
    assert!(killed.join("runs/r/tune/joint").read_dir().unwrap().next().is_some());

    let output = tune(&killed).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    let (resumed, _) = text.lines().find_map(updates).unwrap();
    assert!(resumed + 2 >= done, "it began anew: {text}");
    let (calm, killed) = (adapters(&calm), adapters(&killed));
    assert!(calm.contains_key("adapters/r/joint/adapter_model.safetensors"), "{:?}", calm.keys());
    assert_eq!(calm.keys().collect::<Vec<_>>(), killed.keys().collect::<Vec<_>>());
    for (name, bytes) in &calm {
        assert!(bytes == &killed[name], "`{name}` differs");
    }
}

/// A server on a data folder, killed with this.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(data: &Path, model: &Path) -> Self {
        let mut command = polylogue(data);
        command.args(["serve", "--addr", "127.0.0.1:0", "--model"]).arg(model);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map(Result::unwrap).find_map(|line| {
            line.strip_prefix("listening on ").map(|address| format!("{address}/api/method-runs"))
        });
        Self { child, address: told.unwrap() }
    }

    /// As the machine's end would: nothing is told.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Hears of a run until `enough`, or until it is no longer at work.
    async fn follow(&self, run: &str, enough: impl Fn(&MethodRunInfo) -> bool) -> MethodRunInfo {
        let mut events = reqwest::get(format!("{}/{run}/events", self.address)).await.unwrap();
        let (mut text, mut last) = (String::new(), None);
        while let Some(piece) = events.chunk().await.unwrap() {
            text.push_str(std::str::from_utf8(&piece).unwrap());
            while let Some((line, rest)) = text.split_once('\n') {
                if let Some(json) = line.strip_prefix("data:") {
                    last = Some(serde_json::from_str::<MethodRunInfo>(json).unwrap());
                }
                text = rest.to_owned();
                if last.as_ref().is_some_and(&enough) {
                    return last.unwrap();
                }
            }
        }
        last.unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_killed_server_goes_on_with_what_it_was_at_work_on_and_with_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (data, model) = (folder.path().join("data"), folder.path().join("model"));
    write_tiny_model(&model);
    ready_to_tune(&data, &model).await;
    {
        let (engine, store) = (engine(&model), Store::open(&data).await.unwrap());
        run_with_questions(&store, &engine, "other", 2, 1).await;
    }
    let mut server = Served::start(&data, &model);
    // Both were left by a process that ended; a person lets one of them go on.
    for run in ["r", "other"] {
        let left = server.follow(run, |_| false).await;
        assert_eq!(left.state, JobState::Paused);
        assert_eq!(left.error.unwrap().code, "left-unfinished");
    }
    let resume = reqwest::Client::new().post(format!("{}/r/resume", server.address));
    assert!(resume.send().await.unwrap().status().is_success());
    let tuning = |info: &MethodRunInfo| {
        info.current().is_some_and(|step| step.step == Step::Tune && step.done > 2)
    };
    let at = server.follow("r", tuning).await;
    assert_eq!(at.state, JobState::Running, "it has to be killed at work: {at:?}");
    server.kill();

    let server = Served::start(&data, &model);
    let last = server.follow("r", |_| false).await;
    assert_eq!((last.state, last.error), (JobState::Done, None));
    assert_eq!(server.follow("other", |_| false).await.state, JobState::Paused);
}

/// The built-in model is the one that writes questions; few of them, for one culture.
#[test]
fn a_run_of_the_built_in_model_gives_the_same_bytes_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let preset = folder.path().join("small.toml");
    let text = "run = \"small\"\nper_topic = 1\ncultures = [\"THA\"]\nadapters = [\"joint\"]\n\
        learning_rate = 1e-3\nepochs = 2\naccumulation = 1\n";
    fs::write(&preset, text).unwrap();
    let data = folder.path().join("data");
    let run = polylogue(&data).args(["run", "--json", "--preset"]).arg(&preset).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let report = String::from_utf8(run.stdout).unwrap();
    assert!(report.contains("\"culture\": \"THA\""), "{report}");
    let again = polylogue(&data).args(["reproduce", "small"]).output().unwrap();
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(again.status.success(), "{text}{}", String::from_utf8_lossy(&again.stderr));
    for what in ["generate", "elicit", "collect", "tune", "evaluate", "adapter joint"] {
        assert!(text.contains(&format!("{what}: the same, ")), "{text}");
    }
    assert!(!text.contains("none"), "every step has stored something: {text}");
    // Its voices on a survey that came later and knows its culture.
    let example = polylogue(&data).args(["import", "--example", "jsonl"]).output().unwrap();
    let (file, other) = (folder.path().join("example.jsonl"), "tea-and-rain");
    fs::write(&file, example.stdout).unwrap();
    let imported = polylogue(&data).arg("import").arg(&file).output().unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let away =
        polylogue(&data).args(["evaluate", "--run", "small", "--on", other]).output().unwrap();
    let text = String::from_utf8(away.stdout).unwrap();
    assert!(away.status.success(), "{text}{}", String::from_utf8_lossy(&away.stderr));
    let head = "of the survey `tea-and-rain` (the run learnt from another one and has seen none of";
    assert!(text.contains(head) && text.contains("| THA | "), "{text}");
    let unknown =
        polylogue(&data).args(["evaluate", "--run", "small", "--on", "x"]).output().unwrap();
    assert!(refusal(&unknown).contains("there is no survey `x`"));
}
