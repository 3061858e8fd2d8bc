//! Annotation projects with their items, members and invites; what happens in them is in
//! [`super::annotation_events`].

use app::api::annotation::Invite;
use domain::annotation::{Item, Member, MemberId, ProjectSettings};
use sqlx::AnyConnection;

use super::annotation_events::number;
use super::surveys::{decode, encode};
use super::{Store, StoreError, now};

/// What doesn't change in a project with every act; the rest is told as changes since its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProject {
    /// What it asks for.
    pub settings: ProjectSettings,
    /// The run whose instances are judged; `None` where the items came from a file.
    pub source_run: Option<String>,
    /// All items, in order.
    pub items: Vec<Item>,
    /// When it was made, RFC 3339 in UTC.
    pub created: String,
}

/// A member with what proves who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMember {
    /// The member.
    pub member: Member,
    /// SHA-256 of the token in hexadecimal; `None` once they have left.
    pub token_hash: Option<String>,
}

/// An invite with its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvite {
    /// The project.
    pub project: String,
    /// The invite.
    pub invite: Invite,
}

type InviteRow = (String, String, String, i64, i64);

impl Store {
    /// Stores a new project with its items and its owner, or nothing.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn create_annotation_project(
        &self,
        id: &str,
        settings: &ProjectSettings,
        source_run: Option<&str>,
        items: &[Item],
        owner: &StoredMember,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        sqlx::query(
            "INSERT INTO annotation_projects (id, settings, created, source_run) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(id)
        .bind(encode("settings", settings)?)
        .bind(now())
        .bind(source_run)
        .execute(&mut *transaction)
        .await
        .map_err(|e| self.failed(e))?;
        for (place, item) in items.iter().enumerate() {
            sqlx::query(
                "INSERT INTO annotation_items (project, item, place, body) VALUES ($1, $2, $3, $4)",
            )
            .bind(id)
            .bind(item.id.as_str())
            .bind(place as i64)
            .bind(encode("item", item)?)
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.failed(e))?;
        }
        sqlx::query("INSERT INTO annotation_revisions (project, revision) VALUES ($1, 1)")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.failed(e))?;
        self.insert_member(&mut transaction, id, owner, 1).await?;
        transaction.commit().await.map_err(|e| self.failed(e))
    }

    /// The project of this identifier; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if a stored value doesn't have its shape.
    pub async fn annotation_project(&self, id: &str) -> Result<Option<StoredProject>, StoreError> {
        let row: Option<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT settings, created, source_run FROM annotation_projects WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        let Some((settings, created, source_run)) = row else { return Ok(None) };
        let what = format!("annotation project `{id}`");
        let items: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM annotation_items WHERE project = $1 ORDER BY place",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(Some(StoredProject {
            settings: decode(&what, &settings)?,
            source_run,
            items: items.iter().map(|body| decode(&what, body)).collect::<Result<_, _>>()?,
            created,
        }))
    }

    pub(super) async fn insert_member(
        &self,
        connection: &mut AnyConnection,
        project: &str,
        StoredMember { member, token_hash }: &StoredMember,
        revision: u64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO annotation_members \
             (project, member, place, name, role, cultures, token_hash, changed) \
             SELECT $1, $2, COUNT(*), $3, $4, $5, $6, $7 FROM annotation_members WHERE project = $1",
        )
        .bind(project)
        .bind(member.id.as_str())
        .bind(&member.name)
        .bind(member.role.as_str())
        .bind(encode("cultures", &member.cultures)?)
        .bind(token_hash.as_deref())
        .bind(number(revision))
        .execute(connection)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Members who have joined or changed since `revision`, in the order of joining.
    pub(super) async fn members_since(
        &self,
        connection: &mut AnyConnection,
        project: &str,
        revision: u64,
    ) -> Result<Vec<StoredMember>, StoreError> {
        let rows: Vec<(String, String, String, String, Option<String>)> = sqlx::query_as(
            "SELECT member, name, role, cultures, token_hash FROM annotation_members \
             WHERE project = $1 AND changed > $2 ORDER BY place",
        )
        .bind(project)
        .bind(number(revision))
        .fetch_all(connection)
        .await
        .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(id, name, role, cultures, token_hash)| {
                let what = format!("member `{id}` of annotation project `{project}`");
                let role =
                    role.parse().map_err(|error: String| StoreError::broken(&what, error))?;
                let (cultures, left) = (decode(&what, &cultures)?, token_hash.is_none());
                let member = Member { id: MemberId(id), name, role, cultures, left };
                Ok(StoredMember { member, token_hash })
            })
            .collect()
    }

    /// Stores an invite.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn add_annotation_invite(
        &self,
        project: &str,
        invite: &Invite,
        token_hash: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO annotation_invites (id, project, token_hash, role, expires, revoked) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&invite.id)
        .bind(project)
        .bind(token_hash)
        .bind(invite.role.as_str())
        .bind(invite.expires)
        .bind(i64::from(invite.revoked))
        .execute(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// The invites of a project, the last to expire first.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn annotation_invites(&self, project: &str) -> Result<Vec<Invite>, StoreError> {
        let rows: Vec<InviteRow> = sqlx::query_as(
            "SELECT project, id, role, expires, revoked FROM annotation_invites \
             WHERE project = $1 ORDER BY expires DESC, id",
        )
        .bind(project)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        rows.into_iter().map(|row| Ok(invite(row)?.invite)).collect()
    }

    /// The invite that a token opens, by the token's hash; `None` where there is none.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn annotation_invite(
        &self,
        token_hash: &str,
    ) -> Result<Option<StoredInvite>, StoreError> {
        let row: Option<InviteRow> = sqlx::query_as(
            "SELECT project, id, role, expires, revoked FROM annotation_invites \
             WHERE token_hash = $1",
        )
        .bind(token_hash)
        .fetch_optional(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        row.map(invite).transpose()
    }

    /// Revokes an invite of `project`. Returns whether there is one.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn revoke_annotation_invite(
        &self,
        project: &str,
        invite: &str,
    ) -> Result<bool, StoreError> {
        let changed =
            sqlx::query("UPDATE annotation_invites SET revoked = 1 WHERE project = $1 AND id = $2")
                .bind(project)
                .bind(invite)
                .execute(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        Ok(changed.rows_affected() > 0)
    }
}

fn invite((project, id, role, expires, revoked): InviteRow) -> Result<StoredInvite, StoreError> {
    let broken = |error: String| StoreError::broken(format!("invite `{id}`"), error);
    let role = role.parse().map_err(broken)?;
    let invite = Invite { role, expires, revoked: revoked != 0, id };
    Ok(StoredInvite { project, invite })
}
