//! The rooms in which people judge instances together.
//!
//! A project that somebody works in is in memory as a room: its items, its members, the fold of its
//! events, its leases, and who is here. Whoever acts waits for the room, is checked against what is
//! true there, and is told of success once the event is in the store; so a judgement that was
//! acknowledged survives the end of the process at any moment. Where several servers share a database,
//! each has a room of the project: whoever acts in one takes a turn in the store, and so none acts on
//! something that is no longer true.
//! - [`rooms`]: projects, invites, and which rooms are open;
//! - [`room`]: one project: items to judge, submissions; [`presence`]: who is there;
//! - [`follow`]: what other servers do, and leases that end; [`clock`]: what time it is for all servers;
//! - [`view`]: what a member gets to see of a room;
//! - [`import`]: items from runs and files; [`export`]: judgements as files;
//! - [`token`]: what proves who somebody is; [`error`]: what is refused.
//!
//! **Invariant:** the rules are in [`domain::annotation`]; no SQL, no HTTP, and no clock but the
//! database's.

pub mod error;
pub mod token;

mod clock;
mod follow;
mod presence;
pub mod room;
pub mod rooms;
pub mod view;

pub mod export;
pub mod import;

pub use error::RoomError;
pub use export::Snapshot;
pub use room::{Notice, Room};
pub use rooms::Rooms;
pub use token::Token;
