//! Annotation under load and faults: many annotators on one project of one server, or of several on one
//! database, of which one is killed in the middle and started again.
//!
//! Every annotator is a thread that judges at its own moments, keeps what was not acknowledged, and
//! sends it again until it is, beside a live connection that hears of everybody. In the end the server's
//! events are compared with what it acknowledged and with what was heard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use app::api::annotation::{
    Invite, ItemSource, Joined, Joining, NewInvite, NewProject, NewlyInvited, NextRequest,
    Numbered, Outcome, Submission,
};
use domain::annotation::{
    Act, Item, Judgement, LabelId, MemberRole, ProjectSettings, SubmissionId,
};
use domain::random::SplitMix64;
use serde::Serialize;
use serde_json::json;

use super::BenchError;
use super::annotation_live::Listeners;
use super::annotation_server::{Client, Server};
use crate::store::DatabaseUrl;

/// Items that an annotator has at a time.
const AHEAD: usize = 10;

/// People per item.
const OVERLAP: usize = 2;

/// Pause before something is sent again.
const PAUSE: Duration = Duration::from_millis(100);

/// How much longer than the load an annotator goes on trying.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Annotators at once.
    pub annotators: usize,
    /// Items of the project.
    pub items: usize,
    /// Judgements per second, of all annotators together.
    pub per_second: f64,
    /// How long, in seconds.
    pub seconds: f64,
    /// Whether the server, or the first of several, is killed in the middle.
    pub kill: bool,
    /// Servers that share the annotators.
    pub servers: u16,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnnotationBench {
    /// What was asked.
    pub load: Load,
    /// Judgements that the server acknowledged.
    pub acknowledged: usize,
    /// Of these, how many it doesn't have.
    pub lost: usize,
    /// Judgements that it has twice, or more of than the overlap on an item.
    pub doubled: usize,
    /// Judgements that it refused.
    pub refused: usize,
    /// Events that a live connection never brought, summed over the annotators, each of whom has one.
    pub unheard: usize,
    /// Requests that had no answer, most of them while it was down.
    pub unanswered: usize,
    /// Median time from sending a judgement to its acknowledgement, in milliseconds, of requests that
    /// were answered.
    pub p50_ms: f64,
    /// 95th percentile of the same.
    pub p95_ms: f64,
    /// Seconds from the kill until the server answered again.
    pub down_seconds: Option<f64>,
}

/// What the annotators note.
#[derive(Debug, Default)]
struct Notes {
    acknowledged: BTreeSet<SubmissionId>,
    milliseconds: Vec<f64>,
    refused: usize,
    unanswered: usize,
}

impl AnnotationBench {
    /// Starts servers with data folders of their own, and with `database` if there is one, and puts the
    /// load on them. `say` gets each step.
    ///
    /// # Errors
    /// [`BenchError::Process`] where the server doesn't start, or doesn't answer before the load.
    pub fn run(
        load: Load,
        database: Option<&DatabaseUrl>,
        say: impl Fn(&str),
    ) -> Result<Self, BenchError> {
        let start = |_| {
            let folder = tempfile::tempdir().map_err(|error| failed("make a folder", error))?;
            let server = Server::start(folder.path(), free_address()?, database)?;
            Ok((folder, server))
        };
        let started =
            (0..load.servers.max(1)).map(start).collect::<Result<Vec<_>, BenchError>>()?;
        let (_folders, mut servers): (Vec<_>, Vec<_>) = started.into_iter().unzip();
        let addresses: Vec<SocketAddr> = servers.iter().map(Server::address).collect();
        say("making the project");
        let owner = project(addresses[0], load)?;
        let members = members(&owner, &addresses, load.annotators)?;
        let listeners = Listeners::connect(&members)?;
        say("judging");
        let notes = Mutex::new(Notes::default());
        let began = Instant::now();
        let first = servers.swap_remove(0);
        let (_first, down_seconds) = std::thread::scope(|scope| {
            for (place, member) in members.iter().enumerate() {
                let notes = &notes;
                scope.spawn(move || annotate(load, place, member, began, notes));
            }
            match load.kill {
                true => killed_and_back(first, &owner, load, began, &say),
                false => Ok((first, None)),
            }
        })?;
        say("comparing");
        let notes = notes.into_inner().unwrap_or_default();
        let events: Vec<Numbered> = owner.get("/events?since=0")?;
        let unheard = listeners.close(&events);
        Ok(Self { unheard, down_seconds, ..Self::of(load, notes, &events) })
    }

    /// What the notes and the server's events tell.
    fn of(load: Load, mut notes: Notes, events: &[Numbered]) -> Self {
        let mut stored: BTreeMap<&SubmissionId, usize> = BTreeMap::new();
        let mut of_item: BTreeMap<_, usize> = BTreeMap::new();
        for numbered in events {
            *stored.entry(&numbered.event.submission).or_default() += 1;
            *of_item.entry(&numbered.event.item).or_default() += 1;
        }
        let twice: usize = stored.values().map(|count| count - 1).sum();
        let over: usize = of_item.values().map(|count| count.saturating_sub(OVERLAP)).sum();
        notes.milliseconds.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let last = notes.milliseconds.len().saturating_sub(1);
            notes.milliseconds.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
        };
        Self {
            load,
            acknowledged: notes.acknowledged.len(),
            lost: notes.acknowledged.iter().filter(|id| !stored.contains_key(id)).count(),
            doubled: twice + over,
            refused: notes.refused,
            unheard: 0,
            unanswered: notes.unanswered,
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
            down_seconds: None,
        }
    }
}

/// Kills the server when half of the time is over and starts it again on the same data. Returns how
/// long it was away.
fn killed_and_back(
    server: Server,
    owner: &Client,
    load: Load,
    began: Instant,
    say: &impl Fn(&str),
) -> Result<(Server, Option<f64>), BenchError> {
    sleep_until(began + Duration::from_secs_f64(load.seconds / 2.0));
    let killed = Instant::now();
    say("killing the server");
    let server = server.kill_and_restart()?;
    while owner.get::<serde_json::Value>("").is_err() {
        std::thread::sleep(PAUSE);
    }
    say("the server is back");
    Ok((server, Some(killed.elapsed().as_secs_f64())))
}

/// One annotator: judges at its moments until the time is over, and stays until all is acknowledged.
fn annotate(load: Load, place: usize, client: &Client, began: Instant, notes: &Mutex<Notes>) {
    let mut random = SplitMix64::new(place as u64);
    let labels = ProjectSettings::new("bench").labels;
    let mut queue: VecDeque<Item> = VecDeque::new();
    let judgements = (load.per_second * load.seconds) as usize;
    let end = began + Duration::from_secs_f64(load.seconds) + PATIENCE;
    for number in (place..judgements).step_by(load.annotators) {
        sleep_until(began + Duration::from_secs_f64(number as f64 / load.per_second));
        while queue.is_empty() && Instant::now() < end {
            match client
                .post::<Vec<Item>>("/next", &json!(NextRequest { wanted: AHEAD, idle_seconds: 0 }))
            {
                Ok(items) => queue.extend(items),
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
        let Some(item) = queue.pop_front() else { return };
        let label = labels[random.below(labels.len())].id.clone();
        hand_in(client, number, &item, label, end, notes);
    }
}

fn hand_in(
    client: &Client,
    number: usize,
    item: &Item,
    label: LabelId,
    end: Instant,
    notes: &Mutex<Notes>,
) {
    let submission = Submission {
        id: format!("judgement-{number}").as_str().into(),
        item: item.id.clone(),
        replaces: None,
        act: Act::Judged(Judgement::of(label)),
    };
    while Instant::now() < end {
        let sent = Instant::now();
        let answer = client.post::<Vec<Outcome>>("/submissions", &json!([submission]));
        // A thread that panicked while it noted something left whole entries.
        let mut notes = notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match answer.as_deref() {
            Ok([Outcome::Accepted { .. }, ..]) => {
                notes.milliseconds.push(sent.elapsed().as_secs_f64() * 1000.0);
                notes.acknowledged.insert(submission.id);
                return;
            }
            Ok(_) => {
                notes.refused += 1;
                return;
            }
            Err(_) => notes.unanswered += 1,
        }
        drop(notes);
        std::thread::sleep(PAUSE);
    }
}

fn project(address: SocketAddr, load: Load) -> Result<Client, BenchError> {
    let line = |number: usize| {
        json!({
            "id": format!("i{number}"), "culture": "THA", "question": format!("Question {number}?"),
            "options": ["No", "Yes"], "unaware": 1, "aware": 2,
        })
        .to_string()
    };
    let text = (0..load.items).map(line).collect::<Vec<_>>().join("\n");
    let new = NewProject {
        settings: ProjectSettings { overlap: OVERLAP, ..ProjectSettings::new("bench") },
        source: ItemSource::Jsonl { text },
        owner: joining("owner"),
    };
    let joined: Joined = Client::outside(address).post("/projects", &json!(new))?;
    Ok(Client::inside(address, joined))
}

/// Annotators, in turn on each of the servers.
fn members(
    owner: &Client,
    addresses: &[SocketAddr],
    count: usize,
) -> Result<Vec<Client>, BenchError> {
    let new = NewInvite { role: MemberRole::Annotator, hours: 1 };
    let NewlyInvited { token, invite: Invite { .. } } = owner.post("/invites", &json!(new))?;
    let outside = owner.stranger();
    let join = |place: usize| {
        let body = json!(joining(&format!("annotator {place}")));
        let joined = outside.post(&format!("/invites/{token}"), &body)?;
        Ok(Client::inside(addresses[place % addresses.len()], joined))
    };
    (0..count).map(join).collect()
}

fn joining(name: &str) -> Joining {
    let cultures = "THA".parse().into_iter().collect();
    Joining { name: name.to_owned(), cultures }
}

/// A port that nobody has now; the server takes the same one twice.
fn free_address() -> Result<SocketAddr, BenchError> {
    let listener =
        TcpListener::bind("127.0.0.1:0").map_err(|error| failed("take a port", error))?;
    listener.local_addr().map_err(|error| failed("take a port", error))
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Something around the load that failed.
pub(super) fn failed(what: &str, error: impl fmt::Display) -> BenchError {
    BenchError::Process {
        measure: "annotate".to_owned(),
        whose: "ours".to_owned(),
        reason: format!("can't {what}: {error}"),
    }
}

impl fmt::Display for AnnotationBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { annotators, items, per_second, seconds, servers, .. } = self.load;
        writeln!(
            f,
            "{annotators} annotators on {servers} server(s), {items} items, {per_second} judgements/s \
             for {seconds} s"
        )?;
        writeln!(f, "acknowledged {}", self.acknowledged)?;
        writeln!(f, "lost         {}", self.lost)?;
        writeln!(f, "doubled      {}", self.doubled)?;
        writeln!(f, "refused      {}", self.refused)?;
        writeln!(f, "unheard      {}", self.unheard)?;
        writeln!(f, "unanswered   {}", self.unanswered)?;
        if let Some(seconds) = self.down_seconds {
            writeln!(f, "down         {seconds:.1} s, after a kill")?;
        }
        write!(f, "p50 {:.1} ms, p95 {:.1} ms", self.p50_ms, self.p95_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::annotation::Event;

    fn numbered(sequence: u64, submission: &str, item: &str) -> Numbered {
        let event = Event {
            submission: submission.into(),
            author: "ann".into(),
            at: 0,
            item: Some(item.into()),
            replaces: None,
            act: Act::Judged(Judgement::of("right".into())),
        };
        Numbered { sequence, event }
    }

    #[test]
    fn what_is_missing_is_lost_and_what_is_too_much_is_doubled() {
        let load = Load {
            annotators: 1,
            items: 1,
            per_second: 1.0,
            seconds: 1.0,
            kill: false,
            servers: 1,
        };
        let notes = Notes {
            acknowledged: ["a", "b", "gone"].map(SubmissionId::from).into(),
            milliseconds: vec![9.0, 1.0, 5.0],
            ..Notes::default()
        };
        let events = [numbered(1, "a", "i"), numbered(2, "a", "i"), numbered(3, "b", "i")];
        let found = AnnotationBench::of(load, notes, &events);
        assert_eq!((found.acknowledged, found.lost, found.doubled), (3, 1, 2));
        assert_eq!((found.p50_ms, found.p95_ms), (5.0, 9.0));
    }
}
