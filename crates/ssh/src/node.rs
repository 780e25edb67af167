//! One machine over SSH.
//!
//! **Must hold**: one session, kept; a collection ends by its deadline or when it is cancelled, with
//! what is known by then; a lane that hangs holds up no other; what nobody waits for goes on beside
//! the collections, without tasks of its own: it is looked at in the next one.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use futures_util::{FutureExt as _, future::BoxFuture};
use sickbay_collect::remote::{Conversation, Lane, Question, Reached};
use sickbay_collect::{CollectContext, NodeSource};
use sickbay_model::{Observation, ProbeError, Resource, SshTarget, Timestamp};
use sickbay_runtime::cost;
use tokio::time::Instant;

use crate::auth::Remembered;
use crate::lane::{Ended, LaneChannel, Outcome, ask};
use crate::session::Session;
use crate::shared::{Through, Way};
use crate::{Ssh, trouble};

/// After how long without an answer it is asked whether the session stands at all.
const PULSE_AFTER: Duration = Duration::from_millis(800);

/// How often, and after how long, a channel is opened again where sshd allows very few.
const MAX_REOPENINGS: u32 = 20;
const REOPEN_AFTER: Duration = Duration::from_millis(100);

/// A machine that is watched over SSH.
#[derive(Debug)]
pub struct SshNode {
    target: SshTarget,
    conversation: Conversation,
    ssh: Ssh,
    remembered: Remembered,
    link: Option<Link>,
}

/// A session with what is done over it.
struct Link {
    session: Arc<Session>,
    /// For error messages.
    who: Arc<str>,
    idle: Vec<(Lane, LaneChannel)>,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// How many channels the other side allows, once it refused one.
    most_channels: Option<usize>,
    /// Questions that wait for a free channel.
    waiting: VecDeque<Question>,
    /// How often in a row the only channel was opened in vain.
    reopenings: u32,
    _through: Option<Through>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Why a collection brought nothing.
struct Trouble {
    error: ProbeError,
    /// The session is gone, and a new one is worth a try.
    lost: bool,
}

impl From<ProbeError> for Trouble {
    fn from(error: ProbeError) -> Self {
        Self { error, lost: false }
    }
}

impl SshNode {
    pub(crate) fn new(ssh: Ssh, resource: Resource, target: SshTarget) -> Self {
        let conversation = Conversation::new(resource, ssh.settings().remote.clone())
            .sharing(Arc::clone(&ssh.shared().layouts));
        Self { target, conversation, ssh, remembered: None, link: None }
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &SshTarget {
        &self.target
    }

    /// Whether a session is open now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.session.is_alive())
    }

    /// Ends the session. A later collection would open one again.
    pub async fn shutdown(&mut self) {
        if let Some(link) = &self.link {
            link.session.end().await;
        }
        self.lose();
    }

    fn lose(&mut self) {
        if self.link.take().is_some() {
            self.conversation.session_lost();
        }
    }

    async fn gather(&mut self, context: &CollectContext) -> Result<Reached, ProbeError> {
        let end = Instant::now() + context.deadline;
        let mut stop = pin!(async {
            tokio::select! {
                () = tokio::time::sleep_until(end) => {}
                () = context.cancel.cancelled() => {}
            }
        });
        let mut again = false;
        loop {
            let opened_in = self.connect(stop.as_mut()).await?;
            let conversed = self.converse(context, stop.as_mut()).await;
            match conversed {
                Ok(round_trip) => return Ok(Reached { round_trip, opened_in }),
                Err(trouble) => {
                    self.lose();
                    // A session that was lost between two collections says nothing of the node.
                    if !trouble.lost || opened_in.is_some() || again {
                        return Err(trouble.error);
                    }
                    again = true;
                }
            }
        }
    }

    /// Opens a session if there is none; how long that took.
    async fn connect(
        &mut self,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Duration>, ProbeError> {
        if self.is_connected() {
            return Ok(None);
        }
        self.lose();
        let start = Instant::now();
        let (shared, target) = (Arc::clone(self.ssh.shared()), &self.target);
        let remembered = &mut self.remembered;
        let opening = async move {
            let Way { session, who, through } = shared.open(target, remembered).await?;
            Ok::<_, ProbeError>(Link {
                session,
                who,
                idle: Vec::new(),
                under_way: FuturesUnordered::new(),
                most_channels: None,
                waiting: VecDeque::new(),
                reopenings: 0,
                _through: through,
            })
        };
        tokio::select! {
            // On the heap: most of the time there is nothing to open.
            opened = opening.boxed() => self.link = Some(opened?),
            () = stop => {
                let after = start.elapsed();
                return Err(trouble::unreachable(format!(
                    "no session with {} within {after:.1?}", self.target.host
                )));
            }
        }
        Ok(Some(start.elapsed()))
    }

    /// Asks what is due and waits for what is awaited.
    async fn converse(
        &mut self,
        context: &CollectContext,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Duration>, Trouble> {
        let Some(link) = &mut self.link else { return Ok(None) };
        let mut talk = Talk {
            link,
            conversation: &mut self.conversation,
            context,
            awaited: Vec::new(),
            round_trip: None,
            pulse: Pulse::Unknown,
        };
        // What ended since the last time comes first: its lane may be asked again.
        while let Some(Some(ended)) = talk.link.under_way.next().now_or_never() {
            talk.take(ended)?;
        }
        talk.ask();
        let session = Arc::clone(&talk.link.session);
        let mut pulse = pin!(async {
            tokio::time::sleep(PULSE_AFTER).await;
            session.ping().await
        });
        while !talk.awaited.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = talk.link.under_way.next() => {
                    talk.take(ended)?;
                    // An answer may tell of more that is to be asked.
                    talk.ask();
                }
                alive = &mut pulse, if talk.pulse == Pulse::Unknown => {
                    talk.pulse = if alive { Pulse::Alive } else { Pulse::Dead };
                }
                () = &mut stop => {
                    let host_is_late = talk.awaited.contains(&Lane::Host);
                    if host_is_late && !context.cancel.is_cancelled() {
                        talk.look_for_life(context.deadline)?;
                    }
                    break;
                }
            }
        }
        let round_trip = talk.round_trip;
        if link.under_way.is_empty() {
            // It would keep the task of this collection, some kilobytes, until the next one.
            let _none = link.under_way.next().now_or_never();
        }
        Ok(round_trip)
    }
}

/// What is known of the session itself while its shells keep us waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    Unknown,
    Alive,
    Dead,
}

/// One collection's exchange.
struct Talk<'a> {
    link: &'a mut Link,
    conversation: &'a mut Conversation,
    context: &'a CollectContext,
    awaited: Vec<Lane>,
    round_trip: Option<Duration>,
    pulse: Pulse,
}

impl Talk<'_> {
    /// Asks what is due.
    fn ask(&mut self) {
        for question in self.conversation.questions(self.context.clock.monotonic()) {
            if question.awaited {
                self.awaited.push(question.lane);
            }
            self.link.dispatch(question);
        }
    }

    /// Takes in how a question ended.
    fn take(&mut self, ended: Ended) -> Result<(), Trouble> {
        let Ended { lane, took, outcome, round_trip } = ended;
        if lane == Lane::Host && self.round_trip.is_none() {
            self.round_trip = round_trip;
        }
        let answer = match outcome {
            Outcome::Answer(reader, channel) => {
                self.link.free(lane, channel);
                Ok(reader)
            }
            Outcome::Failed(error) => Err(error),
            Outcome::Silent(error) => {
                if lane == Lane::Host {
                    self.look_for_life(took)?;
                }
                Err(error)
            }
            Outcome::NoShell(error) if lane == Lane::Host => return Err(error.into()),
            Outcome::NoShell(error) => Err(error),
            Outcome::NoChannel(question) => match self.link.wait(question) {
                Ok(()) => return Ok(()),
                // No channel at all: not for the host's question either, if that waits for one.
                Err(error) if self.awaited.contains(&Lane::Host) => return Err(error.into()),
                Err(error) => Err(error),
            },
            Outcome::Lost => return Err(Trouble { error: self.link.session.lost(), lost: true }),
        };
        let now = self.context.clock.monotonic();
        let at = Timestamp::from_unix_ms(self.context.clock.now_ms());
        self.awaited.retain(|other| *other != lane);
        self.conversation.take(lane, answer, took, now, at);
        Ok(())
    }

    /// The host's shell is late: is there a machine at all?
    fn look_for_life(&self, waited: Duration) -> Result<(), Trouble> {
        if self.pulse == Pulse::Alive || waited <= PULSE_AFTER {
            return Ok(());
        }
        let message = format!("{} gives no sign of life for {waited:.1?}", self.link.who);
        Err(trouble::unreachable(message).into())
    }
}

impl Link {
    /// Asks now if a channel is free or may be opened, or later.
    fn dispatch(&mut self, question: Question) {
        let own = self.idle.iter().position(|(lane, _)| *lane == question.lane);
        let channel = match (own, self.most_channels) {
            (Some(index), _) => Some(self.idle.swap_remove(index).1),
            (None, Some(most)) if self.idle.len() + self.under_way.len() >= most => {
                match self.idle.pop() {
                    Some((_, channel)) => Some(channel),
                    None => return self.queue(question),
                }
            }
            (None, _) => None,
        };
        let (session, who) = (Arc::clone(&self.session), Arc::clone(&self.who));
        self.under_way.push(ask(session, channel, question, who).boxed());
    }

    /// The host's question before all others.
    fn queue(&mut self, question: Question) {
        match question.lane {
            Lane::Host => self.waiting.push_front(question),
            _ => self.waiting.push_back(question),
        }
    }

    /// A channel is free again.
    fn free(&mut self, lane: Lane, channel: Option<LaneChannel>) {
        self.idle.extend(channel.map(|channel| (lane, channel)));
        self.reopenings = 0;
        if let Some(question) = self.waiting.pop_front() {
            self.dispatch(question);
        }
    }

    /// The other side opened no further channel: the question waits for one of those there are.
    fn wait(&mut self, question: Question) -> Result<(), ProbeError> {
        let open = self.idle.len() + self.under_way.len();
        if open == 0 && self.most_channels.is_some() && self.reopenings < MAX_REOPENINGS {
            // The last one was closed just now, and the other side is not through with it.
            self.reopenings += 1;
            let (session, who) = (Arc::clone(&self.session), Arc::clone(&self.who));
            let later = async move {
                tokio::time::sleep(REOPEN_AFTER).await;
                ask(session, None, question, who).await
            };
            self.under_way.push(later.boxed());
            return Ok(());
        }
        if open == 0 {
            return Err(trouble::advise(
                trouble::denied(format!("{} lets us in and opens no channel", self.who)),
                "check MaxSessions in sshd_config there: at least 1, better 4",
            ));
        }
        self.most_channels = Some(open);
        self.queue(question);
        if let Some(question) = self.idle.first().and_then(|_| self.waiting.pop_front()) {
            self.dispatch(question);
        }
        Ok(())
    }
}

impl NodeSource for SshNode {
    fn resource(&self) -> &Resource {
        self.conversation.resource()
    }

    async fn collect(&mut self, context: &CollectContext) -> Observation {
        let (reached, spent) = cost::metered(self.gather(context)).await;
        let at = Timestamp::from_unix_ms(context.clock.now_ms());
        let before = cost::thread_cpu_time();
        let mut observation = self.conversation.observe(reached, at, spent);
        observation.cost += cost::thread_cpu_time().saturating_sub(before);
        observation
    }
}

#[cfg(test)]
mod tests;
