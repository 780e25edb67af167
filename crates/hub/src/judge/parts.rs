//! The hub's own parts: its store and its tasks. A change is an event.

use std::collections::{BTreeMap, BTreeSet};

use sickbay_engine::sentence;
use sickbay_model::{Event, EventId, EventKind, Status, Timestamp};
use sickbay_runtime::{TaskState, TaskStatus};

/// How the parts were at the last look.
#[derive(Debug)]
pub(super) struct Parts {
    store: Status,
    /// The tasks that do not work.
    ailing: BTreeSet<String>,
    /// How often each task had been started again.
    restarts: BTreeMap<String, u64>,
}

impl Parts {
    pub(super) fn new(store: Status) -> Self {
        Self { store, ailing: BTreeSet::new(), restarts: BTreeMap::new() }
    }

    /// Looks at the parts, and tells what changed.
    pub(super) fn look(
        &mut self,
        store: Status,
        message: &str,
        tasks: &[TaskStatus],
        at: Timestamp,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let mut tell = |well: bool, part: &str, message: String| {
            let kind =
                if well { EventKind::CoordinatorHealthy } else { EventKind::CoordinatorUnhealthy };
            let details = BTreeMap::from([("part".to_owned(), part.to_owned())]);
            let message = sentence(&message);
            events.push(Event {
                id: EventId::default(),
                at,
                kind,
                resource: None,
                message,
                details,
            });
        };
        if std::mem::replace(&mut self.store, store) != store {
            let well = store == Status::Healthy;
            let what = if well { "The store works again" } else { "The store does not work well" };
            tell(well, "store", format!("{what}: {message}"));
        }
        for task in tasks {
            let name = &task.name;
            let ended = matches!(task.state, TaskState::Restarting | TaskState::Failed);
            let restarts = self.restarts.insert(name.clone(), task.restarts).unwrap_or(0);
            if ended || task.restarts > restarts {
                let why = task.last_error.as_deref().unwrap_or("it ended early");
                if self.ailing.insert(name.clone()) {
                    tell(false, name, format!("The hub's task {name} failed: {why}"));
                }
            } else if self.ailing.remove(name) {
                tell(true, name, format!("The hub's task {name} works again."));
            }
        }
        let is_there = |name: &String| tasks.iter().any(|task| task.name == *name);
        self.ailing.retain(is_there);
        self.restarts.retain(|name, _| is_there(name));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_change_of_a_part_is_told_once() {
        let task = |state, restarts| TaskStatus {
            name: "config".to_owned(),
            state,
            since: Duration::ZERO,
            restarts,
            last_error: (restarts > 0).then(|| "inotify is gone".to_owned()),
        };
        let mut parts = Parts::new(Status::Healthy);
        let running = task(TaskState::Running, 0);
        use EventKind::{CoordinatorHealthy as Well, CoordinatorUnhealthy as Ill};
        for (step, (store, task, told)) in [
            (Status::Healthy, running.clone(), vec![]),
            (
                Status::Critical,
                running.clone(),
                vec![(Ill, "The store does not work well: it is full.")],
            ),
            (Status::Critical, running.clone(), vec![]),
            (Status::Healthy, running, vec![(Well, "The store works again: it is full.")]),
            (
                Status::Healthy,
                task(TaskState::Restarting, 1),
                vec![(Ill, "The hub's task config failed: inotify is gone.")],
            ),
            // It keeps failing: said once.
            (Status::Healthy, task(TaskState::Running, 2), vec![]),
            (
                Status::Healthy,
                task(TaskState::Running, 2),
                vec![(Well, "The hub's task config works again.")],
            ),
            // It failed and was started again between two looks.
            (
                Status::Healthy,
                task(TaskState::Running, 3),
                vec![(Ill, "The hub's task config failed: inotify is gone.")],
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let events = parts.look(store, "it is full", &[task], Timestamp::EPOCH);
            let events: Vec<_> =
                events.iter().map(|event| (event.kind, event.message.as_str())).collect();
            assert_eq!(events, told, "step {step}");
        }
    }
}
