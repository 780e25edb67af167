//! How notices reach people.
//!
//! Three steps, apart from each other: what a receiver is ([`Receiver`], valid by construction), what it
//! is sent (pure), and the sending, which says whether it arrived, is to be tried again, or never will.
//! It decides neither who is told nor when to try again: that is `sickbay-alert`'s and the caller's. The
//! HTTP client that calls others is only here.

mod secret;
pub use secret::{Secret, SecretError, SecretMistake};

pub mod address;

mod endpoint;
pub use endpoint::{Endpoint, EndpointMistake};

mod template;
pub use template::{Field, Template, TemplateMistake};

pub mod payload;
pub use payload::Origin;

pub mod receiver;
pub use receiver::{Kind, Receiver, ReceiverMistake};

mod sign;

mod deliver;
pub use deliver::{MAX_ANSWER, Outcome, Progress, Sender, SenderError, TIMEOUT};

pub mod backoff;
