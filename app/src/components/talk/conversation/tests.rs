//! A conversation against a live connection that plays what a test wrote down.

use std::sync::Mutex;

use domain::method::MethodRequest;

use super::*;
use crate::api::import::ImportReport;
use crate::api::{
    AdapterInfo, ChatEvent, Finish, MethodRunInfo, ReplyInfo, SurveyRunInfo, SurveyRunRequest,
};
use crate::backend::{Answer, Events, SharedLive, Steering};
use crate::browser::Files;
use crate::components::talk::choice::tests::world;
use crate::components::talk::record::{Phase, describe, describe_broken};

type Script =
    Box<dyn Fn(&ChatRequest) -> Result<Vec<Result<ChatEvent, ApiError>>, ApiError> + Send + Sync>;

/// A live connection that plays what a test wrote down and keeps the requests.
struct Played(Script, Mutex<Vec<ChatRequest>>);

impl Live for Played {
    fn chat(&self, request: ChatRequest) -> Answer<Events<ChatEvent>> {
        let events = (self.0)(&request);
        self.1.lock().unwrap().push(request);
        Box::pin(async move { Ok(Box::pin(futures::stream::iter(events?)) as Events<ChatEvent>) })
    }
    fn import_survey(&self, _: Files, _: Option<String>, _: bool) -> Answer<ImportReport> {
        unreachable!()
    }
    fn rejected_rows(&self, _: Files, _: Option<String>) -> Answer<Vec<u8>> {
        unreachable!()
    }
    fn start_survey_run(&self, _: SurveyRunRequest) -> Answer<SurveyRunInfo> {
        unreachable!()
    }
    fn cancel_survey_run(&self, _: String) -> Answer<SurveyRunInfo> {
        unreachable!()
    }
    fn resume_survey_run(&self, _: String) -> Answer<SurveyRunInfo> {
        unreachable!()
    }
    fn survey_run_events(&self, _: String) -> Answer<Events<SurveyRunInfo>> {
        unreachable!()
    }
    fn start_method_run(&self, _: MethodRequest) -> Answer<MethodRunInfo> {
        unreachable!()
    }
    fn steer_method_run(&self, _: String, _: Steering) -> Answer<MethodRunInfo> {
        unreachable!()
    }
    fn method_run_events(&self, _: String) -> Answer<Events<MethodRunInfo>> {
        unreachable!()
    }
    fn open_adapter(&self, _: String, _: String) -> Answer<AdapterInfo> {
        unreachable!()
    }
}

fn info(seed: u64) -> ReplyInfo {
    ReplyInfo {
        model: "M".to_owned(),
        model_hash: "aa".to_owned(),
        adapter: None,
        seed,
        tokens: 2,
        tokens_per_second: 40.4,
        finish: Finish::Stop,
    }
}

fn refused() -> ApiError {
    ApiError { code: "no".to_owned(), message: "no".to_owned(), hint: None, status: None }
}

fn with_script(script: Script, test: impl FnOnce(Conversation, Arc<Played>)) {
    let played = Arc::new(Played(script, Mutex::default()));
    Owner::new().with(|| {
        provide_context(SharedLive(played.clone()));
        let conversation = Conversation::default();
        conversation.open(&DeepLink::default(), &world(&["THA"], &["joint"]));
        test(conversation, played);
    });
}

fn echo(request: &ChatRequest) -> Vec<Result<ChatEvent, ApiError>> {
    let seed = request.sampling.seed;
    (0..request.rows.len())
        .flat_map(|row| {
            let text = format!("said {row} {seed}");
            [ChatEvent::Text { row, text }, ChatEvent::Done { row, reply: info(seed) }]
        })
        .map(Ok)
        .collect()
}

#[test]
fn a_second_message_carries_each_voice_its_own_past() {
    with_script(Box::new(|request| Ok(echo(request))), |conversation, played| {
        conversation.draft.set("  one ".to_owned());
        futures::executor::block_on(conversation.send());
        assert!(futures::executor::block_on(conversation.ask("two".to_owned())));
        let requests = played.1.lock().unwrap();
        let said: Vec<_> =
            requests[1].rows[2].messages.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(said, ["one", "said 2 7", "two"]);
        assert_eq!(conversation.link().messages, ["one", "two"]);
        assert_eq!(conversation.streams.get_untracked(), 0);
    });
}

#[test]
fn regenerating_takes_the_next_seed_and_only_one_voice() {
    with_script(Box::new(|request| Ok(echo(request))), |conversation, played| {
        futures::executor::block_on(conversation.ask("one".to_owned()));
        let turn = conversation.turns.get_untracked()[0].clone();
        let seat = conversation.seats.get_untracked()[1].clone();
        futures::executor::block_on(conversation.regenerate(turn, seat));
        let texts: Vec<_> = conversation.newest_texts().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["said 0 7", "said 0 8", "said 2 7"]);
        assert_eq!(played.1.lock().unwrap()[1].rows[0].messages.len(), 1);
    });
}

#[test]
fn a_reply_that_is_refused_anew_stays_as_it_was() {
    let script: Script = Box::new(|request| match request.sampling.seed {
        7 => Ok(echo(request)),
        _ => Err(refused()),
    });
    with_script(script, |conversation, _| {
        futures::executor::block_on(conversation.ask("one".to_owned()));
        let turn = conversation.turns.get_untracked()[0].clone();
        let seat = conversation.seats.get_untracked()[1].clone();
        futures::executor::block_on(conversation.regenerate(turn.clone(), seat));
        let texts: Vec<_> = conversation.newest_texts().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["said 0 7", "said 1 7", "said 2 7"]);
        assert_eq!(conversation.refusal.get_untracked(), Some(refused()));
        // A voice that joins later and is refused hasn't been asked.
        conversation.refusal.set(None);
        conversation.seed.set(9);
        let joined = conversation.join(Voice::unaware());
        let seat = conversation.seats.get_untracked().into_iter().find(|s| s.id == joined).unwrap();
        futures::executor::block_on(conversation.regenerate(turn.clone(), seat));
        assert!(turn.reply(joined).is_none());
        assert_eq!(conversation.refusal.get_untracked(), Some(refused()));
    });
}

#[test]
fn a_refused_message_comes_back() {
    with_script(Box::new(|_| Err(refused())), |conversation, _| {
        conversation.draft.set("keep me".to_owned());
        futures::executor::block_on(conversation.send());
        assert_eq!(conversation.draft.get_untracked(), "keep me");
        assert_eq!(conversation.refusal.get_untracked(), Some(refused()));
        assert!(conversation.turns.with_untracked(Vec::is_empty));
    });
}

#[test]
fn a_message_beyond_the_servers_limit_stays_where_it_was_written() {
    with_script(Box::new(|request| Ok(echo(request))), |conversation, played| {
        let limit = world(&[], &[]).max_message_bytes;
        let long = "ä".repeat(limit / 2 + 1);
        conversation.draft.set(long.clone());
        futures::executor::block_on(conversation.send());
        let refusal = conversation.refusal.get_untracked().unwrap();
        assert_eq!(refusal.code, "message-too-long");
        assert!(refusal.message.contains(&format!("{} bytes", limit + 2)), "{refusal:?}");
        assert_eq!(conversation.draft.get_untracked(), long);
        assert!(played.1.lock().unwrap().is_empty(), "nothing was sent");
        conversation.draft.set("ä".repeat(limit / 2));
        futures::executor::block_on(conversation.send());
        assert_eq!(conversation.turns.with_untracked(Vec::len), 1);
    });
}

#[test]
fn a_stopped_reply_says_how_it_came_to_be() {
    let adapter = AdapterInfo { name: "joint".to_owned(), hash: "ab".to_owned(), culture: None };
    let reply = Reply::open(1, 7);
    reply.state.update(|state| state.pace.arrive(0.0));
    reply.state.update(|state| state.pace.arrive(50.0));
    let origin =
        Origin { model: "M".to_owned(), model_hash: "aa".to_owned(), adapter: Some(adapter) };
    reply.stop(&origin);
    let Phase::Stopped(broken) = reply.state.with_untracked(|state| state.phase.clone()) else {
        panic!("it was open");
    };
    assert_eq!(
        describe_broken(&broken),
        "M aa · adapter joint ab · seed 7 · stopped after 2 tokens · 20 tok/s"
    );
}

#[test]
fn one_failure_leaves_the_others_and_is_no_past() {
    let script: Script = Box::new(|request| {
        let mut events = echo(request);
        events[1] = Ok(ChatEvent::Failed { row: 0, error: refused() });
        events.pop();
        events.push(Err(refused()));
        Ok(events)
    });
    with_script(script, |conversation, played| {
        futures::executor::block_on(conversation.ask("one".to_owned()));
        let turn = conversation.turns.get_untracked()[0].clone();
        let phases: Vec<_> = turn
            .replies
            .get_untracked()
            .iter()
            .map(|reply| reply.state.with_untracked(|state| state.phase.clone()))
            .collect();
        let failed = Phase::Failed(refused());
        assert_eq!(phases, [failed.clone(), Phase::Done(info(7)), failed]);
        futures::executor::block_on(conversation.ask("two".to_owned()));
        let requests = played.1.lock().unwrap();
        let lengths: Vec<_> = requests[1].rows.iter().map(|row| row.messages.len()).collect();
        assert_eq!(lengths, [1, 3, 1]);
    });
}

#[test]
fn a_reply_says_how_it_came_to_be() {
    let adapter = AdapterInfo { name: "joint".to_owned(), hash: "bb".to_owned(), culture: None };
    let info = ReplyInfo { adapter: Some(adapter), finish: Finish::Length, ..info(7) };
    assert_eq!(
        describe(&info),
        "M aa · adapter joint bb · seed 7 · 2 tokens · 40 tok/s · cut at the length limit"
    );
}
