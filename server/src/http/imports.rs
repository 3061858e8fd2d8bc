//! Surveys that people upload, and the templates that they begin with.

use std::path::Path;

use app::api::import::{ImportOutcome, ImportReport};
use axum::Json;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::{HttpError, MAX_IMPORT_BYTES};
use crate::jobs::JobError;
use crate::jobs::import::{self, EXAMPLE_CSV, EXAMPLE_JSONL, ImportOptions};
use crate::state::AppState;
use crate::store::StoreError;

/// Most files in one upload.
const MOST_FILES: usize = 200;

/// The query of an import.
#[derive(Debug, Deserialize)]
pub struct ImportQuery {
    id: Option<String>,
    #[serde(default)]
    skip_rejected: bool,
}

/// `POST /api/surveys/import`: the files go to a folder of their own, are read whole, and go away.
pub async fn import(
    State(state): State<AppState>,
    Query(ImportQuery { id, skip_rejected }): Query<ImportQuery>,
    files: Multipart,
) -> Result<Json<ImportReport>, HttpError> {
    let folder = tempfile::tempdir_in(state.store.folder())
        .map_err(|error| StoreError::io(state.store.folder(), &error))?;
    receive(files, folder.path()).await?;
    let options = ImportOptions { format: None, id, skip_rejected };
    let report =
        import::import(&state.store, folder.path().to_owned(), options).await.map_err(by_name)?;
    if report.outcome != ImportOutcome::Refused {
        state.refresh_cultures().await?;
    }
    Ok(Json(report))
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
        let mut file = File::create(folder.join(&name)).await.map_err(io)?;
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
