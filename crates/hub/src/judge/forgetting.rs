//! What somebody told to forget of a node.

use std::collections::BTreeMap;

use sickbay_engine::Forgotten;
use sickbay_model::{Event, EventId, EventKind, ResourceId};

use super::Judge;
use crate::command::WhatToForget;

/// How many of the forgotten checks an event names.
const NAMED: usize = 8;

impl Judge {
    /// Forgets what a node had, tells it, and writes it down. `None`: there is no such node.
    pub(crate) fn forget(
        &mut self,
        id: &ResourceId,
        what: &WhatToForget,
    ) -> Option<Vec<Forgotten>> {
        let at = self.now();
        let node = self.nodes.get_mut(id)?;
        let forgotten = node.memory.forget(what.check.as_deref(), what.instance.as_deref());
        if forgotten.is_empty() {
            return Some(forgotten);
        }
        let names = named(&forgotten);
        self.tell(vec![Event {
            id: EventId::default(),
            at,
            kind: EventKind::HardwareForgotten,
            resource: Some(id.clone()),
            message: format!("Forgotten, as somebody told: {names}"),
            details: BTreeMap::from([
                ("checks".to_owned(), names),
                ("count".to_owned(), forgotten.len().to_string()),
            ]),
        }]);
        // Said to be done, so it must be so after a crash, too.
        self.save(id, at);
        Some(forgotten)
    }
}

fn named(forgotten: &[Forgotten]) -> String {
    let name = |it: &Forgotten| match &*it.instance {
        "" => it.check.to_string(),
        instance => format!("{} {instance}", it.check),
    };
    let mut names: Vec<_> = forgotten.iter().take(NAMED).map(name).collect();
    match forgotten.len().saturating_sub(NAMED) {
        0 => {}
        more => names.push(format!("{more} more")),
    }
    names.join(", ")
}
