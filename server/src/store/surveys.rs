//! Surveys with what people answered.

use std::collections::BTreeMap;

use app::api::SurveyInfo;
use domain::culture::{Culture, CultureCode};
use domain::question::{Question, QuestionId, Topic};
use domain::survey::{Distribution, Neighbours, Reference, Similarity, Survey, asked_hash};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;

use super::{Store, StoreError};

/// What the `body` column holds.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(default = "english")]
    language: String,
    cultures: Vec<Culture>,
    topics: Vec<Topic>,
    questions: Vec<Question>,
    #[serde(default)]
    similarity: Similarity,
    #[serde(default)]
    neighbours: Neighbours,
    #[serde(default)]
    unasked: Vec<String>,
}

/// The language of surveys that were stored before it was.
fn english() -> String {
    "eng".to_owned()
}

impl Store {
    /// Stores `survey`, replacing one of the same identifier. Returns whether anything changed.
    ///
    /// # Errors
    /// [`StoreError::Full`] or another failure of the database; then nothing has changed.
    pub async fn put_survey(&self, survey: &Survey) -> Result<bool, StoreError> {
        // Most servers start with what they have, and write nothing.
        if self.survey_hash(&survey.id).await? == Some(hash_of(survey)?) {
            return Ok(false);
        }
        Ok(self.import_survey::<(), ()>(survey, &[]).await?.survey)
    }

    /// [`Store::put_survey`] as a part of a transaction.
    pub(super) async fn put_survey_in(
        &self,
        connection: &mut AnyConnection,
        survey: &Survey,
    ) -> Result<bool, StoreError> {
        let hash = hash_of(survey)?;
        // A change of nothing, so that nobody else changes it before the end of the transaction.
        sqlx::query("UPDATE surveys SET hash = hash WHERE id = $1")
            .bind(&survey.id)
            .execute(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        let stored: Option<String> = sqlx::query_scalar("SELECT hash FROM surveys WHERE id = $1")
            .bind(&survey.id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        if stored.as_ref() == Some(&hash) {
            return Ok(false);
        }
        let body = encode(
            "survey",
            &Body {
                language: survey.language.clone(),
                cultures: survey.cultures.clone(),
                topics: survey.topics.clone(),
                questions: survey.questions.clone(),
                similarity: survey.similarity.clone(),
                neighbours: survey.neighbours.clone(),
                unasked: survey.unasked.clone(),
            },
        )?;
        sqlx::query(
            "INSERT INTO surveys (id, title, provenance, evaluated, hash, body) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET title = excluded.title, \
             provenance = excluded.provenance, evaluated = excluded.evaluated, \
             hash = excluded.hash, body = excluded.body",
        )
        .bind(&survey.id)
        .bind(&survey.title)
        .bind(encode("provenance", &survey.provenance)?)
        .bind(survey.evaluated().len() as i64)
        .bind(hash)
        .bind(body)
        .execute(&mut *connection)
        .await
        .map_err(|e| self.failed(e))?;
        sqlx::query("DELETE FROM people WHERE survey = $1")
            .bind(&survey.id)
            .execute(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        for (culture, answers) in &survey.reference {
            for (question, people) in answers {
                sqlx::query(
                    "INSERT INTO people (survey, culture, question, shares, mode) \
                     VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(&survey.id)
                .bind(culture.as_str())
                .bind(question.as_str())
                .bind(encode("shares", &people.shares)?)
                .bind(i64::from(people.mode))
                .execute(&mut *connection)
                .await
                .map_err(|e| self.failed(e))?;
            }
        }
        Ok(true)
    }

    /// The survey with this identifier.
    ///
    /// # Errors
    /// [`StoreError::UnknownSurvey`] where there is none.
    pub async fn survey(&self, id: &str) -> Result<Survey, StoreError> {
        let row: Option<(String, String, String)> =
            sqlx::query_as("SELECT title, provenance, body FROM surveys WHERE id = $1")
                .bind(id)
                .fetch_optional(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        let Some((title, provenance, body)) = row else {
            let known = self.surveys().await?.into_iter().map(|survey| survey.id).collect();
            return Err(StoreError::UnknownSurvey { id: id.to_owned(), known });
        };
        let what = format!("survey `{id}`");
        let Body { language, cultures, topics, questions, similarity, neighbours, unasked } =
            decode(&what, &body)?;
        Ok(Survey {
            id: id.to_owned(),
            title,
            language,
            provenance: decode(&what, &provenance)?,
            cultures,
            topics,
            questions,
            reference: self.reference(id).await?,
            similarity,
            neighbours,
            unasked,
        })
    }

    /// All surveys, the built-in one first, then by identifier.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn surveys(&self) -> Result<Vec<SurveyInfo>, StoreError> {
        /// The part of a body that the list shows.
        #[derive(Deserialize)]
        struct Listed {
            cultures: Vec<Culture>,
        }
        let rows: Vec<(String, String, String, i64, String)> = sqlx::query_as(
            "SELECT id, title, provenance, evaluated, body FROM surveys \
             ORDER BY CASE WHEN id = 'starter' THEN 0 ELSE 1 END, id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(id, title, provenance, evaluated, body)| {
                let what = format!("survey `{id}`");
                let provenance = decode(&what, &provenance)?;
                let Listed { cultures } = decode(&what, &body)?;
                let evaluated = evaluated.max(0) as usize;
                Ok(SurveyInfo { id, title, provenance, evaluated, cultures })
            })
            .collect()
    }

    /// SHA-256 of the survey as JSON; `None` where there is none.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn survey_hash(&self, id: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT hash FROM surveys WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| self.failed(e))
    }

    /// [`Survey::asked_hash`] of every survey, by its identifier.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn asked_hashes(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT id, body FROM surveys")
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(id, body)| {
                let Body { questions, .. } = decode(&format!("survey `{id}`"), &body)?;
                Ok((id, asked_hash(&questions)))
            })
            .collect()
    }

    async fn reference(&self, survey: &str) -> Result<Reference, StoreError> {
        let rows: Vec<(String, String, String, i64)> =
            sqlx::query_as("SELECT culture, question, shares, mode FROM people WHERE survey = $1")
                .bind(survey)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        let mut reference = Reference::new();
        for (culture, question, shares, mode) in rows {
            let what = format!("reference of `{question}` in `{culture}`");
            let culture: CultureCode =
                culture.parse().map_err(|error| StoreError::broken(&what, error))?;
            let mode = u32::try_from(mode).map_err(|error| StoreError::broken(&what, error))?;
            let people = Distribution { shares: decode(&what, &shares)?, mode };
            reference.entry(culture).or_default().insert(QuestionId(question), people);
        }
        Ok(reference)
    }
}

/// SHA-256 of the survey as JSON.
fn hash_of(survey: &Survey) -> Result<String, StoreError> {
    Ok(format!("{:x}", Sha256::digest(encode("survey", survey)?.as_bytes())))
}

pub(super) fn encode(what: &str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::broken(what, error))
}

pub(super) fn decode<T: for<'de> Deserialize<'de>>(
    what: &str,
    json: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::broken(what, error))
}
