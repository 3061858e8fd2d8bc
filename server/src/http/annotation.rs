//! Annotation projects: who may do what is the room's to say, and who asks is said by their token.

use std::collections::BTreeSet;

use app::api::MethodRunInfo;
use app::api::annotation::{
    AcceptedRun, ExportFormat, Invitation, Joined, Joining, ListedInvite, MOST_SUBMISSIONS,
    NewInvite, NewProject, NewlyInvited, NextRequest, Numbered, Outcome, Project, SettingsChange,
    SourceInfo, Submission,
};
use axum::Json;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::annotation::{Item, ItemId, Member, MemberId, ProjectSettings};
use domain::culture::CultureCode;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::HttpError;
use super::error::api_error;
use super::extract::Body;
use crate::annotation::{Room, RoomError, Token};
use crate::jobs::accepted;
use crate::jobs::annotation::sources;
use crate::state::AppState;

/// The token of the request's `Authorization: Bearer` header.
pub struct Bearer(pub Token);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, HttpError> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        token.map(|token| Self(Token::presented(token))).ok_or_else(|| {
            HttpError::refused(
                StatusCode::UNAUTHORIZED,
                "no-token",
                "the request doesn't say who sends it".to_owned(),
                "Send the member's token as `Authorization: Bearer TOKEN`.",
            )
        })
    }
}

/// `GET /api/annotation/sources`
pub async fn list_sources(
    State(state): State<AppState>,
) -> Result<Json<Vec<SourceInfo>>, HttpError> {
    Ok(Json(sources(&state.store).await?))
}

/// `POST /api/annotation/projects`
pub async fn create(
    State(state): State<AppState>,
    Body(new): Body<NewProject>,
) -> Result<(StatusCode, Json<Joined>), HttpError> {
    Ok((StatusCode::CREATED, Json(state.rooms.create(&state.engine, new).await?)))
}

/// `GET /api/annotation/projects/{id}`
pub async fn show(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
) -> Result<Json<Project>, HttpError> {
    let room = state.rooms.room(&project).await?;
    let room = room.lock().await;
    Ok(Json(room.project(room.member(&token)?)))
}

/// `POST /api/annotation/projects/{id}/settings`
pub async fn change(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
    Body(SettingsChange { from, to }): Body<SettingsChange>,
) -> Result<Json<ProjectSettings>, HttpError> {
    let room = state.rooms.room(&project).await?;
    let mut room = room.lock().await;
    let owner = manager(&room, &token)?.id.clone();
    room.change(&owner, &from, to).await?;
    Ok(Json(room.settings().clone()))
}

/// `POST /api/annotation/projects/{id}/next`
pub async fn next(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
    Body(request): Body<NextRequest>,
) -> Result<Json<Vec<Item>>, HttpError> {
    let room = state.rooms.room(&project).await?;
    let mut room = room.lock().await;
    let member = room.member(&token)?.clone();
    Ok(Json(room.next(&member, request).await?))
}

/// `POST /api/annotation/projects/{id}/submissions`: each gets an outcome of its own, so that one
/// that is refused holds up no other.
pub async fn submit(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
    Body(submissions): Body<Vec<Submission>>,
) -> Result<Json<Vec<Outcome>>, HttpError> {
    if submissions.len() > MOST_SUBMISSIONS {
        return Err(HttpError::bad_request(
            "submission-count",
            format!("a request holds at most {MOST_SUBMISSIONS} acts, not {}", submissions.len()),
            "Send the rest in another request.",
        ));
    }
    let room = state.rooms.room(&project).await?;
    let mut room = room.lock().await;
    let member = room.member(&token)?.clone();
    let mut outcomes = Vec::with_capacity(submissions.len());
    for submission in submissions {
        outcomes.push(outcome(room.submit(&member, submission).await)?);
    }
    Ok(Json(outcomes))
}

/// A refusal is the submission's own; a failure is the whole request's, and is to be tried again.
fn outcome(result: Result<Numbered, RoomError>) -> Result<Outcome, HttpError> {
    match result {
        Ok(event) => Ok(Outcome::Accepted { event }),
        Err(RoomError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Outcome::Refused { error: api_error(error.code(), &error) }),
    }
}

/// `GET /api/annotation/projects/{id}/items/{item}`
pub async fn item(
    State(state): State<AppState>,
    Path((project, item)): Path<(String, String)>,
    Bearer(token): Bearer,
) -> Result<Json<Item>, HttpError> {
    let room = state.rooms.room(&project).await?;
    let room = room.lock().await;
    Ok(Json(room.item(room.member(&token)?, &ItemId(item))?))
}

/// Where a client goes on.
#[derive(Debug, Deserialize)]
pub struct Since {
    #[serde(default)]
    since: u64,
}

/// `GET /api/annotation/projects/{id}/events?since=N`
pub async fn events(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Query(Since { since }): Query<Since>,
    Bearer(token): Bearer,
) -> Result<Json<Vec<Numbered>>, HttpError> {
    let room = state.rooms.room(&project).await?;
    let room = room.lock().await;
    Ok(Json(room.events_since(room.member(&token)?, since)))
}

/// `GET /api/annotation/projects/{id}/invites`
pub async fn list_invites(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
) -> Result<Json<Vec<ListedInvite>>, HttpError> {
    manager(&*state.rooms.room(&project).await?.lock().await, &token)?;
    Ok(Json(state.rooms.invites(&project).await?))
}

/// `POST /api/annotation/projects/{id}/invites`
pub async fn invite(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
    Body(new): Body<NewInvite>,
) -> Result<(StatusCode, Json<NewlyInvited>), HttpError> {
    manager(&*state.rooms.room(&project).await?.lock().await, &token)?;
    Ok((StatusCode::CREATED, Json(state.rooms.invite(&project, new).await?)))
}

/// `POST /api/annotation/projects/{id}/invites/{invite}/revoke`
pub async fn revoke(
    State(state): State<AppState>,
    Path((project, invite)): Path<(String, String)>,
    Bearer(token): Bearer,
) -> Result<Json<Vec<ListedInvite>>, HttpError> {
    manager(&*state.rooms.room(&project).await?.lock().await, &token)?;
    if !state.store.revoke_annotation_invite(&project, &invite).await? {
        return Err(RoomError::UnknownInvite.into());
    }
    Ok(Json(state.rooms.invites(&project).await?))
}

/// `POST /api/annotation/projects/{id}/members/{member}/leave`
pub async fn leave(
    State(state): State<AppState>,
    Path((project, who)): Path<(String, String)>,
    Bearer(token): Bearer,
) -> Result<Json<Numbered>, HttpError> {
    let room = state.rooms.room(&project).await?;
    let mut room = room.lock().await;
    let who = MemberId(who);
    if room.member(&token)?.id != who {
        manager(&room, &token)?;
    }
    Ok(Json(room.leave(&who).await?))
}

/// `POST /api/annotation/projects/{id}/cultures`: those that the member knows from now on.
pub async fn know(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
    Body(cultures): Body<BTreeSet<CultureCode>>,
) -> Result<Json<Member>, HttpError> {
    let room = state.rooms.room(&project).await?;
    let mut room = room.lock().await;
    let who = room.member(&token)?.id.clone();
    Ok(Json(room.know(&who, cultures).await?))
}

/// `GET /api/annotation/projects/{id}/method-runs`
pub async fn list_method_runs(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
) -> Result<Json<Vec<AcceptedRun>>, HttpError> {
    state.rooms.room(&project).await?.lock().await.member(&token)?;
    Ok(Json(accepted::runs(&state.store, &project).await?))
}

/// `POST /api/annotation/projects/{id}/method-runs`: tunes on what is accepted now.
pub async fn start_method_run(
    State(state): State<AppState>,
    Path(project): Path<String>,
    Bearer(token): Bearer,
) -> Result<(StatusCode, Json<MethodRunInfo>), HttpError> {
    let room = state.rooms.room(&project).await?;
    let accepted = {
        let room = room.lock().await;
        manager(&room, &token)?;
        room.accepted()?
    };
    Ok((StatusCode::CREATED, Json(state.method_runs.start_accepted(accepted).await?)))
}

/// `GET /api/annotation/projects/{id}/export/{format}`: for those who may see every judgement.
pub async fn export(
    State(state): State<AppState>,
    Path((project, format)): Path<(String, String)>,
    Bearer(token): Bearer,
) -> Result<Response, HttpError> {
    let known = ExportFormat::ALL.into_iter().find(|known| known.as_str() == format);
    let known = known.ok_or_else(|| {
        let message = format!("`{format}` is not a format");
        let all = ExportFormat::ALL.map(ExportFormat::as_str).join(", ");
        HttpError::not_found("unknown-format", message, &format!("There are: {all}."))
    })?;
    let room = state.rooms.room(&project).await?;
    let snapshot = {
        let room = room.lock().await;
        let role = room.member(&token)?.role;
        if !role.adjudicates() {
            return Err(RoomError::Forbidden { role, what: "export judgements" }.into());
        }
        room.snapshot().await?
    };
    let cultures = state.cultures();
    let file = spawn_blocking(move || snapshot.export(known, &cultures)).await;
    let file = file.map_err(|error| {
        RoomError::refused(format!("the file can't be written: {error}"), "Try another format.")
    })?;
    let mut response = file?.into_response();
    let kind = HeaderValue::from_static(known.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// `GET /api/annotation/invites/{token}`
pub async fn invitation(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Json<Invitation>, HttpError> {
    Ok(Json(state.rooms.invitation(&Token::presented(&token)).await?))
}

/// `POST /api/annotation/invites/{token}`
pub async fn join(
    State(state): State<AppState>,
    Path(token): Path<String>,
    Body(joining): Body<Joining>,
) -> Result<(StatusCode, Json<Joined>), HttpError> {
    let joined = state.rooms.join(&Token::presented(&token), joining).await?;
    Ok((StatusCode::CREATED, Json(joined)))
}

/// The member, if they may change the project.
fn manager<'a>(room: &'a Room, token: &Token) -> Result<&'a Member, RoomError> {
    let member = room.member(token)?;
    match member.role.manages() {
        true => Ok(member),
        false => Err(RoomError::Forbidden { role: member.role, what: "change the project" }),
    }
}
