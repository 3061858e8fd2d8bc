//! Surveys that people upload, and the templates that they begin with.

use std::io::ErrorKind;
use std::path::Path;

use app::api::import::{ImportOutcome, ImportReport};
use axum::Json;
use axum::body::Body;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{HttpError, MAX_IMPORT_BYTES};
use crate::jobs::JobError;
use crate::jobs::import::{self, EXAMPLE_CSV, EXAMPLE_JSONL, ImportOptions};
use crate::state::AppState;
use crate::store::StoreError;

/// Most files in one upload.
const MOST_FILES: usize = 200;

/// Bytes that are read from a file at once.
const PIECE: usize = 64 * 1024;

/// The query of an import.
#[derive(Debug, Deserialize)]
pub struct ImportQuery {
    id: Option<String>,
    name: Option<String>,
    #[serde(default)]
    skip_rejected: bool,
}

/// `POST /api/surveys/import`: the files go to a folder of their own, are read whole, and go away.
pub async fn import(
    State(state): State<AppState>,
    Query(ImportQuery { id, name, skip_rejected }): Query<ImportQuery>,
    files: Multipart,
) -> Result<Json<ImportReport>, HttpError> {
    let folder = folder_in(state.store.folder())?;
    receive(files, folder.path()).await?;
    let options = ImportOptions { id, name, skip_rejected, ..ImportOptions::default() };
    let report =
        import::import(&state.store, folder.path().to_owned(), options).await.map_err(by_name)?;
    if report.outcome != ImportOutcome::Refused {
        state.refresh_cultures().await?;
    }
    Ok(Json(report))
}

/// `POST /api/surveys/import/rejected`: every row that an import of the files would reject, as JSON
/// lines. They are written into a file and sent from there, however many they are; nothing is kept.
pub async fn rejected(
    State(state): State<AppState>,
    Query(ImportQuery { id, name, .. }): Query<ImportQuery>,
    files: Multipart,
) -> Result<impl IntoResponse, HttpError> {
    let (folder, log) = (folder_in(state.store.folder())?, folder_in(state.store.folder())?);
    receive(files, folder.path()).await?;
    let rows = log.path().join("rejected.jsonl");
    let rejected = Some(rows.clone());
    let options = ImportOptions { id, name, rejected, ..ImportOptions::default() };
    import::check(folder.path().to_owned(), options).await.map_err(by_name)?;
    let file = File::open(&rows).await.map_err(|error| StoreError::io(&rows, &error))?;
    let pieces = futures::stream::try_unfold((file, log), |(mut file, log)| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        // The folder goes away once its file has been read.
        Ok::<_, std::io::Error>((read > 0).then_some((piece, (file, log))))
    });
    let kind = [(header::CONTENT_TYPE, "application/jsonl; charset=utf-8")];
    Ok((kind, Body::from_stream(pieces)))
}

fn folder_in(data: &Path) -> Result<TempDir, HttpError> {
    Ok(tempfile::tempdir_in(data).map_err(|error| StoreError::io(data, &error))?)
}

/// Names a file as it was called where it came from, not where it lies here.
fn by_name(error: JobError) -> JobError {
    match error {
        JobError::BadFile { path, rule, hint } => {
            let name = path.file_name().filter(|_| path.extension().is_some());
            let path = name.map_or_else(|| "upload".into(), Into::into);
            JobError::BadFile { path, rule, hint }
        }
        other => other,
    }
}

/// Writes every file of the upload into `folder`, piece by piece.
async fn receive(mut files: Multipart, folder: &Path) -> Result<(), HttpError> {
    let io = |error: std::io::Error| HttpError::from(StoreError::io(folder, &error));
    let mut count = 0;
    while let Some(mut field) = files.next_field().await.map_err(|error| broken(&error))? {
        // A browser sends the bare name; whatever else is sent must not lead out of the folder.
        let name = field.file_name().and_then(|name| name.rsplit(['/', '\\']).next());
        let Some(name) = name.map(str::to_owned).filter(|name| fits(name)) else { continue };
        count += 1;
        if count > MOST_FILES {
            return Err(HttpError::bad_request(
                "too-many-files",
                format!("an upload has at most {MOST_FILES} files"),
                "Choose the files of one survey only.",
            ));
        }
        // Where the system takes `A.csv` and `a.csv` for one, so do we.
        let mut file = match File::create_new(folder.join(&name)).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(HttpError::bad_request(
                    "same-file-name",
                    format!("the upload holds two files named `{name}`"),
                    "Rename one of them, or import their folders one after the other.",
                ));
            }
            made => made.map_err(io)?,
        };
        while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
            file.write_all(&piece).await.map_err(io)?;
        }
        file.flush().await.map_err(io)?;
    }
    match count {
        0 => Err(HttpError::bad_request(
            "no-file",
            "the upload holds no file".to_owned(),
            "Choose a `.csv` or `.jsonl` file, or the files of the paper's release.",
        )),
        _ => Ok(()),
    }
}

fn fits(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.len() <= 200 && !name.contains('\0')
}

fn broken(error: &MultipartError) -> HttpError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => HttpError::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("the upload is larger than {} MB", MAX_IMPORT_BYTES / 1024 / 1024),
            "Import it on the server with `polylogue import PATH`.",
        ),
        _ => HttpError::bad_request(
            "bad-upload",
            format!("the upload can't be read: {}", error.body_text()),
            "Send the files as a form, as the Survey page does.",
        ),
    }
}

/// `GET /api/surveys/example.jsonl`
pub async fn example_jsonl() -> impl IntoResponse {
    example(
        "application/jsonl; charset=utf-8",
        "attachment; filename=\"survey.jsonl\"",
        EXAMPLE_JSONL,
    )
}

/// `GET /api/surveys/example.csv`
pub async fn example_csv() -> impl IntoResponse {
    example("text/csv; charset=utf-8", "attachment; filename=\"survey.csv\"", EXAMPLE_CSV)
}

fn example(kind: &'static str, disposition: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition)], text)
}
