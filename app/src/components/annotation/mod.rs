//! The parts of the annotation pages.
//!
//! - [`membership`], [`outbox`], [`keys`]: what this browser keeps between visits;
//! - [`desk`]: a project at work; [`live`]: how it and the server keep in step;
//! - [`calm`]: numbers of the whole project, counted a while after a change;
//! - [`summary`]: agreement and progress as rows; [`markdown`]: guidelines as views;
//! - the rest is seen: [`Judge`], [`MyJudgements`], [`Items`], [`AgreementView`], [`AdapterView`], [`People`] are what a project shows,
//!   [`NewProjectForm`], [`Invited`] and [`ProjectList`] what leads to one.

pub mod calm;
pub mod desk;
pub mod keys;
pub mod live;
pub mod markdown;
pub mod membership;
pub mod outbox;
pub mod summary;

mod adapter;
mod agreement;
mod change_project;
mod comments;
mod culture_choice;
mod draft;
mod exports;
mod invites;
mod item;
mod items;
mod join;
mod judge;
mod key_help;
mod mine;
mod my_cultures;
mod new_project;
mod people;
mod presence;
mod project_list;
mod refused;
mod settings_form;

pub use adapter::AdapterView;
pub use agreement::AgreementView;
pub use culture_choice::CultureChoice;
pub use items::Items;
pub use join::Invited;
pub use judge::Judge;
pub use mine::MyJudgements;
pub use new_project::NewProjectForm;
pub use people::People;
pub use presence::Presence;
pub use project_list::ProjectList;
