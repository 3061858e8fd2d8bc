//! What happens in annotation projects: events, which are added and never changed, leases, members and
//! settings. Whoever changes a project takes a turn: for its time nobody else changes the project, on
//! this server or another one, so that what is checked is what is true.

use app::api::annotation::Numbered;
use domain::annotation::{Event, ItemId, Lease, LeaseChange, Member, MemberId, ProjectSettings};
use sqlx::{Any, AnyConnection, Transaction};

use super::annotations::StoredMember;
use super::surveys::{decode, encode};
use super::{News, Store, StoreError};

/// What has changed in a project since a revision. Leases that have ended are not told: the event that
/// ended them is.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectChanges {
    /// The project's revision.
    pub revision: u64,
    /// Settings, if they have changed.
    pub settings: Option<ProjectSettings>,
    /// New events, in order.
    pub events: Vec<Numbered>,
    /// Members who are new or other than before, in the order of joining.
    pub members: Vec<StoredMember>,
    /// Leases that are new or renewed.
    pub leases: Vec<Lease>,
}

/// A transaction on one project, which nobody else changes meanwhile. Dropped, it leaves no trace.
#[derive(Debug)]
pub struct ProjectTurn {
    store: Store,
    project: String,
    transaction: Transaction<'static, Any>,
    revision: u64,
    now: i64,
}

impl Store {
    /// Now, in milliseconds since 1970 (UTC), by the one clock that all servers share: the database's.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn clock(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar(self.database.timed("SELECT {now}"))
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.failed(e))
    }

    /// Waits for the project and has it alone from then on; `None` where there is none.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn take_annotation_turn(
        &self,
        project: &str,
    ) -> Result<Option<ProjectTurn>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        let raise = self.database.timed(
            "UPDATE annotation_revisions SET revision = revision + 1 WHERE project = $1 \
             RETURNING revision, {now}",
        );
        let row: Option<(i64, i64)> = sqlx::query_as(raise)
            .bind(project)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|e| self.failed(e))?;
        Ok(row.map(|(revision, now)| ProjectTurn {
            store: self.clone(),
            project: project.to_owned(),
            transaction,
            revision: revision.unsigned_abs(),
            now,
        }))
    }

    /// What has changed in a project since it had `revision` and its newest event was `sequence`;
    /// `None` where that is nothing.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if a stored value doesn't have its shape.
    pub async fn annotation_changes(
        &self,
        project: &str,
        revision: u64,
        sequence: u64,
    ) -> Result<Option<ProjectChanges>, StoreError> {
        let newest: Option<i64> =
            sqlx::query_scalar("SELECT revision FROM annotation_revisions WHERE project = $1")
                .bind(project)
                .fetch_optional(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        let newest = newest.unwrap_or_default().unsigned_abs();
        if newest == revision {
            return Ok(None);
        }
        let mut connection = self.pool.acquire().await.map_err(|e| self.failed(e))?;
        let found = self.changes_since(&mut connection, project, revision, sequence).await?;
        // Something newer than this may be among them: the next look finds it once more.
        Ok(Some(ProjectChanges { revision: newest, ..found }))
    }

    async fn changes_since(
        &self,
        connection: &mut AnyConnection,
        project: &str,
        revision: u64,
        sequence: u64,
    ) -> Result<ProjectChanges, StoreError> {
        let settings: Option<String> = sqlx::query_scalar(
            "SELECT settings FROM annotation_projects WHERE id = $1 AND changed > $2",
        )
        .bind(project)
        .bind(number(revision))
        .fetch_optional(&mut *connection)
        .await
        .map_err(|e| self.failed(e))?;
        let what = format!("settings of annotation project `{project}`");
        Ok(ProjectChanges {
            revision,
            settings: settings.map(|settings| decode(&what, &settings)).transpose()?,
            events: self.events_since(connection, project, sequence).await?,
            members: self.members_since(connection, project, revision).await?,
            leases: self.leases_since(connection, project, revision).await?,
        })
    }

    /// The events of a project after `since`, in order.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if a stored event doesn't have its shape.
    pub async fn annotation_events(
        &self,
        project: &str,
        since: u64,
    ) -> Result<Vec<Numbered>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(|e| self.failed(e))?;
        self.events_since(&mut connection, project, since).await
    }

    async fn events_since(
        &self,
        connection: &mut AnyConnection,
        project: &str,
        since: u64,
    ) -> Result<Vec<Numbered>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT sequence, body FROM annotation_events \
             WHERE project = $1 AND sequence > $2 ORDER BY sequence",
        )
        .bind(project)
        .bind(number(since))
        .fetch_all(connection)
        .await
        .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(sequence, body)| {
                let what = format!("event {sequence} of annotation project `{project}`");
                Ok(Numbered { sequence: sequence.unsigned_abs(), event: decode(&what, &body)? })
            })
            .collect()
    }

    async fn leases_since(
        &self,
        connection: &mut AnyConnection,
        project: &str,
        revision: u64,
    ) -> Result<Vec<Lease>, StoreError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT item, member, until FROM annotation_leases \
             WHERE project = $1 AND changed > $2",
        )
        .bind(project)
        .bind(number(revision))
        .fetch_all(connection)
        .await
        .map_err(|e| self.failed(e))?;
        let lease =
            |(item, member, until)| Lease { item: ItemId(item), member: MemberId(member), until };
        Ok(rows.into_iter().map(lease).collect())
    }
}

impl ProjectTurn {
    /// The project's revision once this turn is over.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// When the turn began, in milliseconds since 1970 (UTC), by the one clock that all servers share:
    /// the database's.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// What has changed since the project had `revision` and its newest event was `sequence`.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if a stored value doesn't have its shape.
    pub async fn changes(
        &mut self,
        revision: u64,
        sequence: u64,
    ) -> Result<ProjectChanges, StoreError> {
        let Self { store, project, transaction, .. } = self;
        let found = store.changes_since(transaction, project, revision, sequence).await?;
        Ok(ProjectChanges { revision: self.revision - 1, ..found })
    }

    /// Adds an event under the next number of its project, with what it does to a lease. Returns the
    /// number.
    ///
    /// # Errors
    /// [`StoreError::Full`] or another failure of the database.
    pub async fn append(&mut self, event: &Event, lease: &LeaseChange) -> Result<u64, StoreError> {
        let sequence = self.insert(event).await?;
        match (lease, &event.item) {
            (LeaseChange::Take(lease), _) => self.put_lease(lease).await?,
            (LeaseChange::End, Some(item)) => {
                sqlx::query(
                    "DELETE FROM annotation_leases \
                     WHERE project = $1 AND item = $2 AND member = $3",
                )
                .bind(&self.project)
                .bind(item.as_str())
                .bind(event.author.as_str())
                .execute(&mut *self.transaction)
                .await
                .map_err(|e| self.store.failed(e))?;
            }
            _ => {}
        }
        Ok(sequence)
    }

    /// Adds the event that its author has left for good: their name, token and leases are gone, their
    /// events stay. Returns its number.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn forget(&mut self, event: &Event) -> Result<u64, StoreError> {
        let sequence = self.insert(event).await?;
        sqlx::query(
            "UPDATE annotation_members SET name = '', token_hash = NULL, changed = $3 \
             WHERE project = $1 AND member = $2",
        )
        .bind(&self.project)
        .bind(event.author.as_str())
        .bind(number(self.revision))
        .execute(&mut *self.transaction)
        .await
        .map_err(|e| self.store.failed(e))?;
        sqlx::query("DELETE FROM annotation_leases WHERE project = $1 AND member = $2")
            .bind(&self.project)
            .bind(event.author.as_str())
            .execute(&mut *self.transaction)
            .await
            .map_err(|e| self.store.failed(e))?;
        Ok(sequence)
    }

    async fn insert(&mut self, event: &Event) -> Result<u64, StoreError> {
        let sequence: i64 = sqlx::query_scalar(
            "INSERT INTO annotation_events (project, sequence, submission, body) \
             SELECT $1, COALESCE(MAX(sequence), 0) + 1, $2, $3 FROM annotation_events \
             WHERE project = $1 RETURNING sequence",
        )
        .bind(&self.project)
        .bind(event.submission.as_str())
        .bind(encode("event", event)?)
        .fetch_one(&mut *self.transaction)
        .await
        .map_err(|e| self.store.failed(e))?;
        Ok(sequence.unsigned_abs())
    }

    /// Adds a member.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn add_member(&mut self, member: &StoredMember) -> Result<(), StoreError> {
        let Self { store, project, transaction, revision, .. } = self;
        store.insert_member(transaction, project, member, *revision).await
    }

    /// Notes which cultures a member knows.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn put_cultures(&mut self, member: &Member) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE annotation_members SET cultures = $3, changed = $4 \
             WHERE project = $1 AND member = $2",
        )
        .bind(&self.project)
        .bind(member.id.as_str())
        .bind(encode("cultures", &member.cultures)?)
        .bind(number(self.revision))
        .execute(&mut *self.transaction)
        .await
        .map_err(|e| self.store.failed(e))?;
        Ok(())
    }

    /// Keeps a lease instead of the one for the same item and member.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn put_lease(&mut self, lease: &Lease) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO annotation_leases (project, item, member, until, changed) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (project, item, member) \
             DO UPDATE SET until = excluded.until, changed = excluded.changed",
        )
        .bind(&self.project)
        .bind(lease.item.as_str())
        .bind(lease.member.as_str())
        .bind(lease.until)
        .bind(number(self.revision))
        .execute(&mut *self.transaction)
        .await
        .map_err(|e| self.store.failed(e))?;
        Ok(())
    }

    /// Stores everything and tells other servers.
    ///
    /// # Errors
    /// [`StoreError::Full`] or another failure of the database. Where the connection breaks in just
    /// this moment everything may be stored all the same: the next turn shows it.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let news = News::Project(self.project);
        self.store.send_in(&mut self.transaction, &news).await?;
        self.transaction.commit().await.map_err(|e| self.store.failed(e))
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn give_back(self) -> Result<(), StoreError> {
        self.transaction.rollback().await.map_err(|e| self.store.failed(e))
    }
}

/// Numbers are kept as SQL has them.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
