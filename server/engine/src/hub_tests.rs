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
    files: HashMap<String, Vec<u8>>,
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
    let siblings: Vec<_> = shelf.files.keys().map(|name| json!({"rfilename": name})).collect();
    let body = json!({"siblings": siblings, "sha": "abc123"}).to_string();
    Response::builder().header("content-type", "application/json").body(body.into()).unwrap()
}

fn empty(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

async fn content(
    State(shelf): State<Arc<Shelf>>,
    UrlPath((_, _, _, name)): UrlPath<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    let Some(bytes) = shelf.files.get(&name) else { return empty(StatusCode::NOT_FOUND) };
    let range = headers["range"].to_str().unwrap().trim_start_matches("bytes=").to_owned();
    shelf.asked.lock().unwrap().push((name.clone(), range.clone()));
    let (start, end) = range.split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(bytes.len(), |end: usize| end + 1);
    let part = bytes[start..end].to_vec();
    let response = Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header("x-repo-commit", "abc123")
        .header("etag", format!("\"{name}-tag\""))
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
        let files = files.iter().map(owned).collect();
        let shelf = Arc::new(Shelf { files, token, ..Shelf::default() });
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
        }
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.shelf.asked.lock().unwrap())
    }
}

fn fetch(hub: &Hub) -> Result<PathBuf, EngineError> {
    hub.fetch(&"some/model@v1".parse().unwrap(), &mut |_| ())
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
    let found = unreachable.fetch(&model, &mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!((found, lines.len()), (folder, 2), "{lines:?}");
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let weights = "0123456789".repeat(400_000);
    let files = [("config.json", "{}"), (SINGLE, weights.as_str())];
    let small = SmallHub::new(&files, None);
    *small.shelf.breaks.lock().unwrap() = 1;
    let folder = fetch(&small.hub()).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join(SINGLE)).unwrap(), weights);
    let ranges: Vec<String> =
        small.asked().into_iter().filter(|(name, _)| name == SINGLE).map(|(_, r)| r).collect();
    assert_eq!(ranges[..2], ["0-0", "0-"]);
    let resumed: usize = ranges[2].trim_end_matches('-').parse().unwrap();
    assert!(resumed > 0, "nothing is fetched twice: {ranges:?}");
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
