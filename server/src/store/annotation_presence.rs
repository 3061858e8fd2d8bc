//! Who is connected to which server, for the others on the same database. A server that ends without
//! a word is forgotten when what it said runs out.

use app::api::annotation::Present;
use domain::annotation::{ItemId, MemberId};

use super::{News, Store, StoreError};

/// How long somebody is taken to be there, in milliseconds: a browser says what it looks at several
/// times as often.
const LIFE: i64 = 60_000;

impl Store {
    /// Notes that a member is connected to this server and what they look at, and tells the others if
    /// that is `new`.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn put_annotation_presence(
        &self,
        project: &str,
        present: &Present,
        new: bool,
    ) -> Result<(), StoreError> {
        let Some(server) = self.server() else { return Ok(()) };
        let upsert = self.database.timed(
            "INSERT INTO annotation_presence (project, server, member, item, until) \
             VALUES ($1, $2, $3, $4, {now} + $5) ON CONFLICT (project, server, member) \
             DO UPDATE SET item = excluded.item, until = excluded.until",
        );
        sqlx::query(upsert)
            .bind(project)
            .bind(server)
            .bind(present.member.as_str())
            .bind(present.item.as_ref().map(ItemId::as_str))
            .bind(LIFE)
            .execute(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        match new {
            true => self.send(&News::Presence(project.to_owned())).await,
            false => Ok(()),
        }
    }

    /// Notes that a member is not connected to this server any more.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn drop_annotation_presence(
        &self,
        project: &str,
        member: &MemberId,
    ) -> Result<(), StoreError> {
        let Some(server) = self.server() else { return Ok(()) };
        sqlx::query(
            "DELETE FROM annotation_presence WHERE project = $1 AND server = $2 AND member = $3",
        )
        .bind(project)
        .bind(server)
        .bind(member.as_str())
        .execute(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        self.send(&News::Presence(project.to_owned())).await
    }

    /// Who is connected to other servers.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn annotation_presence(&self, project: &str) -> Result<Vec<Present>, StoreError> {
        let Some(server) = self.server() else { return Ok(Vec::new()) };
        let select = self.database.timed(
            "SELECT member, item FROM annotation_presence \
             WHERE project = $1 AND server <> $2 AND until > {now} ORDER BY member, item",
        );
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(select)
            .bind(project)
            .bind(server)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        let present = |(member, item): (_, Option<_>)| Present {
            member: MemberId(member),
            item: item.map(ItemId),
        };
        Ok(rows.into_iter().map(present).collect())
    }

    pub(super) async fn drop_all_presence(&self, server: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM annotation_presence WHERE server = $1")
            .bind(server)
            .execute(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        self.send(&News::Anything).await
    }
}
