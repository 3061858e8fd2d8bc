//! The connection by which servers on one PostgreSQL know of each other: it holds the server's lock and
//! hears what others have changed.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::database::DatabaseUrl;
use super::error::StoreError;
use super::server_id::{ServerId, lock_key};

/// What servers listen on.
const CHANNEL: &str = "polylogue";

/// Pause between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it may be silent before it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(15);

/// News that a slow listener may be behind before it has to look at everything.
const BEHIND: usize = 1024;

/// Something that another server has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// This annotation project has changed.
    Project(String),
    /// In this annotation project somebody has come, gone or moved on.
    Presence(String),
    /// A survey is new or other than before.
    Surveys,
    /// The connection was lost for a while: anything may have changed.
    Anything,
}

impl News {
    /// As servers send it.
    pub(super) fn payload(&self, server: &ServerId) -> String {
        let server = server.as_str();
        match self {
            Self::Project(project) => format!("{server} project {project}"),
            Self::Presence(project) => format!("{server} presence {project}"),
            Self::Surveys => format!("{server} surveys"),
            Self::Anything => format!("{server} anything"),
        }
    }

    /// What another server than `own` has sent; news that a newer Polylogue knows may be anything.
    fn of(payload: &str, own: &ServerId) -> Option<Self> {
        let mut words = payload.splitn(3, ' ');
        let server = words.next().unwrap_or_default();
        let news = match (words.next(), words.next()) {
            (Some("project"), Some(project)) => Self::Project(project.to_owned()),
            (Some("presence"), Some(project)) => Self::Presence(project.to_owned()),
            (Some("surveys"), None) => Self::Surveys,
            _ => Self::Anything,
        };
        (server != own.as_str()).then_some(news)
    }
}

/// Statement by which news is sent; it arrives when the transaction is committed.
pub(super) const SEND: &str = "SELECT pg_notify('polylogue', $1)";

/// The connection; it ends with its handle.
#[derive(Debug)]
pub(super) struct Link {
    news: broadcast::Sender<News>,
    _task: JoinSet<()>,
}

impl Link {
    /// Takes the lock of this server and listens from now on.
    pub async fn open(url: &DatabaseUrl, server: &ServerId) -> Result<Self, StoreError> {
        let mut listener = connected(url, server).await?;
        let news = broadcast::Sender::new(BEHIND);
        let mut task = JoinSet::new();
        let (sender, url, server) = (news.clone(), url.clone(), server.clone());
        task.spawn(async move {
            loop {
                let error = hear(&mut listener, &server, &sender).await;
                tracing::warn!("the connection with `{url}` is lost: {error}");
                listener = again(&url, &server).await;
                tracing::info!("listening to `{url}` again");
                // Nobody listening is fine.
                let _ = sender.send(News::Anything);
            }
        });
        Ok(Self { news, _task: task })
    }

    /// News from now on.
    pub fn listen(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }
}

/// Passes on what is heard until the connection breaks.
async fn hear(
    listener: &mut PgListener,
    server: &ServerId,
    news: &broadcast::Sender<News>,
) -> sqlx::Error {
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(heard))) => {
                if let Some(heard) = News::of(heard.payload(), server) {
                    let _ = news.send(heard);
                }
            }
            Ok(Ok(None)) => return sqlx::Error::PoolClosed,
            Ok(Err(error)) => return error,
            Err(_) => match timeout(SILENCE, sqlx::query("SELECT 1").execute(&mut *listener)).await
            {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error,
                Err(_) => return sqlx::Error::PoolTimedOut,
            },
        }
    }
}

/// A new connection, for however long it takes.
async fn again(url: &DatabaseUrl, server: &ServerId) -> PgListener {
    let mut told = None;
    loop {
        sleep(PAUSE).await;
        match connected(url, server).await {
            Ok(listener) => return listener,
            Err(error) if told.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::warn!("{error}");
                told = Some(error);
            }
        }
    }
}

async fn connected(url: &DatabaseUrl, server: &ServerId) -> Result<PgListener, StoreError> {
    let failed = |error: sqlx::Error| match &error {
        // The lock wasn't free in time.
        sqlx::Error::Database(inner) if inner.code().as_deref() == Some("55P03") => {
            StoreError::Twin { database: url.to_string() }
        }
        _ => StoreError::postgres(url, &error),
    };
    let mut listener = PgListener::connect(url.text()).await.map_err(failed)?;
    listener.eager_reconnect(false);
    sqlx::query("SET lock_timeout = '5s'").execute(&mut listener).await.map_err(failed)?;
    // PostgreSQL may notice the end of a server that was killed only a moment later.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(lock_key(server.as_str()))
        .execute(&mut listener)
        .await
        .map_err(failed)?;
    listener.listen(CHANNEL).await.map_err(failed)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_arrives_as_it_was_sent_but_not_where_it_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let own = ServerId::of(folder.path()).unwrap();
        let other = ServerId::of(other.path()).unwrap();
        assert_eq!(ServerId::of(folder.path()).unwrap(), own, "it is kept");
        for news in
            [News::Project("p".into()), News::Presence("p".into()), News::Surveys, News::Anything]
        {
            let payload = news.payload(&own);
            assert_eq!(News::of(&payload, &own), None);
            assert_eq!(News::of(&payload, &other), Some(news));
        }
        assert_eq!(News::of("from a newer Polylogue", &own), Some(News::Anything));
    }
}
