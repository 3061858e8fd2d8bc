//! Fetching from a small hub of our own on a free port.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// What the small hub holds and what it was asked for.
#[derive(Debug, Default)]
struct Shelf {
    files: Mutex<HashMap<String, Vec<u8>>>,
    /// What every revision names.
    commit: Mutex<String>,
    /// Whether it sends whole files whatever part is asked for, as some servers in between do.
    whole: Mutex<bool>,
    /// `(file, Range)` of every request for content.
    asked: Mutex<Vec<(String, String)>>,
    /// So many answers of a whole file still stop half-way.
    breaks: Mutex<usize>,
    token: Option<&'static str>,
}

/// A running hub; it ends with the test.
struct SmallHub {
    shelf: Arc<Shelf>,
    address: String,
    cache: TempDir,
    _runtime: tokio::runtime::Runtime,
}

async fn info(State(shelf): State<Arc<Shelf>>, headers: HeaderMap) -> Response<Body> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    if shelf.token.is_some_and(|token| given != Some(&format!("Bearer {token}"))) {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let commit = shelf.commit.lock().unwrap().clone();
    let sibling = |(name, bytes): (&String, &Vec<u8>)| json!({"rfilename": name, "size": bytes.len(), "blobId": etag(name, &commit)});
    let siblings: Vec<_> = shelf.files.lock().unwrap().iter().map(sibling).collect();
    let body = json!({"siblings": siblings, "sha": commit}).to_string();
    Response::builder().header("content-type", "application/json").body(body.into()).unwrap()
}

fn etag(name: &str, commit: &str) -> String {
    // Without a dot, as hashes are: the cache takes what follows one for an extension.
    format!("{}-{commit}", name.replace('.', "-"))
}

fn empty(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

async fn content(
    State(shelf): State<Arc<Shelf>>,
    UrlPath((_, _, revision, name)): UrlPath<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    let commit = shelf.commit.lock().unwrap().clone();
    let bytes = shelf.files.lock().unwrap().get(&name).cloned();
    // Only the newest commit is kept.
    let Some(bytes) = bytes.filter(|_| revision == commit) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let range = headers["range"].to_str().unwrap().trim_start_matches("bytes=").to_owned();
    shelf.asked.lock().unwrap().push((name.clone(), range.clone()));
    let (start, end) = range.split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    if start >= bytes.len() {
        return empty(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let end = end.parse().map_or(bytes.len(), |end: usize| end + 1);
    let start = if end > 1 && *shelf.whole.lock().unwrap() { 0 } else { start };
    let part = bytes[start..end].to_vec();
    let response = Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header("x-repo-commit", &commit)
        .header("etag", format!("\"{}\"", etag(&name, &commit)))
        .header("content-range", format!("bytes {start}-{}/{}", end - 1, bytes.len()));
    let mut breaks = shelf.breaks.lock().unwrap();
    if *breaks > 0 && part.len() > 1000 {
        *breaks -= 1;
        let half = part[..part.len() / 2].to_vec();
        let cut = std::io::Error::other("cut off");
        let stream = futures::stream::iter([Ok(half), Err(cut)]);
        return response.body(Body::from_stream(stream)).unwrap();
    }
    response.body(part.into()).unwrap()
}

impl SmallHub {
    fn new(files: &[(&str, &str)], token: Option<&'static str>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
        let files = Mutex::new(files.iter().map(owned).collect());
        let commit = Mutex::new("abc123".to_owned());
        let shelf = Arc::new(Shelf { files, commit, token, ..Shelf::default() });
        let router = Router::new()
            .route("/api/models/{owner}/{name}/revision/{revision}", get(info))
            .route("/{owner}/{name}/resolve/{revision}/{file}", get(content))
            .with_state(Arc::clone(&shelf));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { shelf, address, cache: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn hub(&self) -> Hub {
        Hub {
            endpoint: self.address.clone(),
            cache: Cache::new(self.cache.path().to_owned()),
            token: None,
            offline: false,
            retries: 1,
        }
    }

    /// The next so many answers stop half-way.
    fn break_down(&self, times: usize) {
        *self.shelf.breaks.lock().unwrap() = times;
    }

    /// Ranges of a file that were asked for.
    fn ranges(&self, file: &str) -> Vec<String> {
        self.asked().into_iter().filter(|(name, _)| name == file).map(|(_, range)| range).collect()
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.shelf.asked.lock().unwrap())
    }
}

fn fetch(hub: &Hub) -> Result<PathBuf, EngineError> {
    fetch_as(hub, "v1")
}

fn fetch_as(hub: &Hub, revision: &str) -> Result<PathBuf, EngineError> {
    let model = format!("some/model@{revision}").parse().unwrap();
    hub.fetch(&model, &|_| Ok(()), &mut |_| ())
}

#[test]
fn names_are_told_from_paths() {
    for text in ["Qwen/Qwen2.5-0.5B", "a/b_c@refs/pr/1", "owner/name@v1"] {
        assert_eq!(text.parse::<HubModel>().unwrap().to_string(), text);
    }
    let default: HubModel = "a/b@main".parse().unwrap();
    assert_eq!((default.to_string().as_str(), default.revision.as_str()), ("a/b", "main"));
    for text in ["starter", "./a/b", "/a/b", "a/b/c", "../b", "a/", "a/b@", "a b/c", ""] {
        assert_eq!(text.parse::<HubModel>(), Err(NotAHubModel), "{text}");
    }
}

#[test]
fn what_a_model_needs_is_fetched_once() {
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    let files = [
        ("config.json", "{}"),
        ("tokenizer.json", "{}"),
        ("tokenizer_config.json", "{}"),
        ("README.md", "no"),
        ("pytorch_model.bin", "no"),
        (INDEX, index),
        ("one.safetensors", "1"),
        ("two.safetensors", "22"),
    ];
    let small = SmallHub::new(&files, None);
    let folder = fetch(&small.hub()).unwrap();
    assert_eq!(std::fs::read(folder.join("two.safetensors")).unwrap(), b"22");
    assert!(!folder.join("README.md").exists() && !folder.join("pytorch_model.bin").exists());
    assert!(!small.asked().is_empty());
    assert_eq!(fetch(&small.hub()).unwrap(), folder);
    assert_eq!(small.asked(), [], "the second time nothing is fetched");
    let offline = Hub { offline: true, endpoint: "http://127.0.0.1:9".to_owned(), ..small.hub() };
    assert_eq!(fetch(&offline).unwrap(), folder);
    let unreachable = Hub { endpoint: "http://127.0.0.1:9".to_owned(), ..small.hub() };
    let mut lines = Vec::new();
    let model = "some/model@v1".parse().unwrap();
    let found =
        unreachable.fetch(&model, &|_| Ok(()), &mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!((found, lines.len()), (folder, 2), "{lines:?}");
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let weights = "0123456789".repeat(400_000);
    let files = [("config.json", "{}"), (SINGLE, weights.as_str())];
    let small = SmallHub::new(&files, None);
    small.break_down(1);
    let folder = fetch(&small.hub()).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join(SINGLE)).unwrap(), weights);
    let ranges = small.ranges(SINGLE);
    assert_eq!(ranges[..2], ["0-0", "0-"]);
    let resumed: usize = ranges[2].trim_end_matches('-').parse().unwrap();
    assert!(resumed > 0, "nothing is fetched twice: {ranges:?}");
}

/// A hub with a model of four megabytes, and how many answers break off before a fetch gives up.
fn large() -> (SmallHub, String, usize) {
    let weights = "0123456789".repeat(400_000);
    let small = SmallHub::new(&[("config.json", "{}"), (SINGLE, weights.as_str())], None);
    (small, weights, 3)
}

#[test]
fn the_next_fetch_goes_on_where_the_last_one_gave_up() {
    let (small, weights, attempts) = large();
    small.break_down(attempts);
    let error = fetch(&small.hub()).unwrap_err().to_string();
    assert!(error.contains("goes on where it stopped"), "{error}");
    let offline = Hub { offline: true, ..small.hub() };
    for revision in ["v1", "abc123"] {
        assert!(fetch_as(&offline, revision).is_err(), "half a model isn't in the cache");
    }
    small.asked();
    let folder = fetch(&small.hub()).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join(SINGLE)).unwrap(), weights);
    let ranges = small.ranges(SINGLE);
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    let resumed: usize = ranges[1].trim_end_matches('-').parse().unwrap();
    assert!(resumed > 0, "{ranges:?}");
    assert_eq!(fetch(&offline).unwrap(), folder);
}

#[test]
fn a_model_is_found_by_its_commit_too_and_nothing_is_written_twice() {
    let (small, _, _) = large();
    let by_commit = fetch_as(&small.hub(), "abc123").unwrap();
    assert_eq!(fetch(&small.hub()).unwrap(), by_commit);
    let offline = Hub { offline: true, ..small.hub() };
    for revision in ["v1", "abc123"] {
        assert_eq!(fetch_as(&offline, revision).unwrap(), by_commit, "{revision}");
    }
    // A note that is right stays as it is: the cache may be one that can only be read.
    let note = small.cache.path().join("models--some--model/refs/v1");
    let written = || std::fs::metadata(&note).unwrap().modified().unwrap();
    let before = written();
    fetch(&small.hub()).unwrap();
    assert_eq!(written(), before);
}

#[test]
fn a_part_that_is_whole_is_no_dead_end() {
    let (small, weights, _) = large();
    fetch(&small.hub()).unwrap();
    // As after a kill between the last byte and the file's new name.
    let blobs = small.cache.path().join("models--some--model/blobs");
    let blob = blobs.join(etag(SINGLE, "abc123"));
    std::fs::rename(&blob, blob.with_extension("part")).unwrap();
    let folder = fetch(&small.hub()).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join(SINGLE)).unwrap(), weights);
}

#[test]
fn what_has_the_wrong_size_is_fetched_again() {
    let (small, weights, attempts) = large();
    small.break_down(attempts);
    fetch(&small.hub()).unwrap_err();
    *small.shelf.whole.lock().unwrap() = true;
    let folder = fetch(&small.hub()).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join(SINGLE)).unwrap(), weights);

    std::fs::write(folder.join(SINGLE), "cut off").unwrap();
    let mut lines = Vec::new();
    let model = "some/model@v1".parse().unwrap();
    let report = &mut |line: &str| lines.push(line.to_owned());
    small.hub().fetch(&model, &|_| Ok(()), report).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join(SINGLE)).unwrap(), weights);
    assert!(lines[0].contains("has 7 bytes in the cache"), "{lines:?}");
}

#[test]
fn all_files_are_of_one_commit() {
    let (small, weights, attempts) = large();
    small.break_down(attempts);
    fetch(&small.hub()).unwrap_err();
    let config = |text: &str| ("config.json".to_owned(), text.as_bytes().to_vec());
    small.shelf.files.lock().unwrap().extend([config("{\"new\": 1}")]);
    "def456".clone_into(&mut small.shelf.commit.lock().unwrap());
    let folder = fetch(&small.hub()).unwrap();
    assert_eq!(folder.file_name().unwrap(), "def456");
    assert_eq!(std::fs::read_to_string(folder.join("config.json")).unwrap(), "{\"new\": 1}");
    assert_eq!(std::fs::read_to_string(folder.join(SINGLE)).unwrap(), weights);
    let refs = small.cache.path().join("models--some--model/refs");
    assert_eq!(std::fs::read_to_string(refs.join("v1")).unwrap(), "def456");
    assert_eq!(std::fs::read_dir(refs).unwrap().count(), 2, "`v1`, and that of the broken fetch");
}

#[test]
fn a_model_that_cannot_be_used_is_refused_before_its_weights_are_fetched() {
    let (small, _, _) = large();
    let model = "some/model@v1".parse().unwrap();
    let check = |folder: &Path| {
        assert!(folder.join("config.json").is_file() && !folder.join(SINGLE).exists());
        Err(EngineError::TemplateMissing)
    };
    let refused = small.hub().fetch(&model, &check, &mut |_| ());
    assert_eq!(refused, Err(EngineError::TemplateMissing));
    assert!(small.asked().iter().all(|(name, _)| name == "config.json"));
}

#[test]
fn refusals_name_the_model_and_a_way_out() {
    let small = SmallHub::new(&[("config.json", "{}"), (SINGLE, "1")], Some("secret"));
    let said = |hub: &Hub| fetch(hub).unwrap_err().to_string();
    let error = said(&small.hub());
    assert!(error.contains("`some/model@v1`") && error.contains("HF_TOKEN"), "{error}");
    fetch(&Hub { token: Some("secret".to_owned()), ..small.hub() }).unwrap();

    let bare = SmallHub::new(&[("config.json", "{}"), ("model.gguf", "1")], None);
    assert!(said(&bare.hub()).contains(SINGLE));
    let empty = SmallHub::new(&[(SINGLE, "1")], None);
    assert!(said(&empty.hub()).contains("config.json"));
    let offline = Hub { offline: true, ..empty.hub() };
    assert!(said(&offline).contains("isn't in the cache"));
    let elsewhere = Hub { endpoint: format!("{}/nowhere", empty.address), ..empty.hub() };
    assert!(said(&elsewhere).contains("no such model"), "{}", said(&elsewhere));
}
