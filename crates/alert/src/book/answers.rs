//! Answers of rules, and what they do to alerts.

use super::*;

/// How often an alert that goes on is kept anew.
const KEPT_EVERY: Duration = Duration::from_secs(60);

impl Book {
    /// What all rules say of a resource now. What is not among the answers is well.
    pub fn judge(
        &mut self,
        rules: &Rules<'_>,
        resource: &ResourceId,
        answers: Vec<(Part, Answer)>,
    ) {
        self.come(rules);
        let mut unanswered: BTreeSet<Part> =
            self.alerts.get(resource).map(|all| all.keys().cloned().collect()).unwrap_or_default();
        for ((rule, instance), answer) in answers {
            unanswered.remove(&(Arc::clone(&rule), Arc::clone(&instance)));
            let key = Key { rule, resource: resource.clone(), instance };
            self.answer(rules, key, answer);
        }
        for (rule, instance) in unanswered {
            let key = Key { rule, resource: resource.clone(), instance };
            self.well(rules, &key);
        }
    }

    /// Nothing can be said of a resource, and why: its alerts stand.
    pub fn unknown(&mut self, rules: &Rules<'_>, resource: &ResourceId, why: &str) {
        self.come(rules);
        let all = self.alerts.get(resource).map(|all| all.keys().cloned().collect::<Vec<_>>());
        for (rule, instance) in all.unwrap_or_default() {
            let key = Key { rule, resource: resource.clone(), instance };
            self.answer(rules, key, Answer::Unknown(why.to_owned()));
        }
    }

    /// What one rule says of one thing.
    pub fn answer(&mut self, rules: &Rules<'_>, key: Key, answer: Answer) {
        self.come(rules);
        match answer {
            Answer::Wrong(problem) => self.wrong(rules, key, *problem),
            Answer::Unknown(_) => {
                let now = rules.now;
                let Some(alert) = self.get(&key).filter(|alert| !alert.is_resolved()) else {
                    return;
                };
                let clears = matches!(alert.state, State::Firing { well_since: Some(_), .. });
                if alert.unknown_since.is_some() && !clears {
                    return;
                }
                let Some(alert) = self.alert_mut(&key) else { return };
                alert.unknown_since = Some(alert.unknown_since.map_or(now, |it| it.min(now)));
                if let State::Firing { well_since, .. } = &mut alert.state {
                    // What is not known to be well all along has to be well anew.
                    *well_since = None;
                }
            }
        }
    }

    /// Something is well.
    pub fn well(&mut self, rules: &Rules<'_>, key: &Key) {
        self.come(rules);
        let now = rules.now;
        let Some(alert) = self.get(key) else { return };
        match alert.state {
            State::Resolved { .. } => {}
            State::Pending { .. } => self.drop_pending(rules, key),
            State::Firing { since, well_since } => {
                let start = well_since.map_or(now, |it| it.min(now));
                if well_since != Some(start) || alert.unknown_since.is_some() {
                    let Some(alert) = self.alert_mut(key) else { return };
                    alert.state = State::Firing { since, well_since: Some(start) };
                    alert.unknown_since = None;
                }
                self.plan(rules, key);
            }
        }
    }

    /// A thing is not there any more, or its rule: its alerts are over.
    pub fn end(&mut self, rules: &Rules<'_>, gone: impl Fn(&Key) -> bool, why: &str) {
        self.come(rules);
        let keys: Vec<Key> = self.iter().map(|it| &it.key).filter(|it| gone(it)).cloned().collect();
        for key in keys {
            match self.get(&key).map(|alert| &alert.state) {
                Some(State::Pending { .. }) => self.drop_pending(rules, &key),
                Some(State::Firing { .. }) => self.resolve(rules, &key, Some(why.to_owned())),
                _ => {}
            }
        }
    }

    fn wrong(&mut self, rules: &Rules<'_>, key: Key, problem: crate::Problem) {
        let now = rules.now;
        let lives = self.get(&key).is_some_and(|alert| !alert.is_resolved() || alert.is_told());
        if !lives && !self.open(rules, &key, &problem) {
            return;
        }
        // What is measured anew each time is kept once a minute, unless more changed than that.
        let is_same = self.get(&key).is_some_and(|alert| {
            alert.severity >= problem.severity
                && alert.labels == problem.labels
                && alert.cause == problem.cause
                && alert.keep_firing_for == problem.keep_firing_for
                && alert.unknown_since.is_none()
                && matches!(alert.state, State::Firing { well_since: None, .. })
                && now.since(alert.seen) < KEPT_EVERY
                && alert.seen <= now
        });
        if is_same {
            if let Some(alert) = self.alert_unkept(&key) {
                alert.summary = problem.summary;
                alert.explanation = problem.explanation;
                alert.advice = problem.advice;
            }
            return;
        }
        let Some(alert) = self.alert_mut(&key) else { return };
        let raised = problem.severity > alert.severity && alert.is_firing();
        let before = alert.cause.take();
        alert.severity = alert.severity.max(problem.severity);
        alert.labels = problem.labels;
        alert.summary = problem.summary;
        alert.explanation = problem.explanation;
        alert.advice = problem.advice;
        alert.keep_firing_for = problem.keep_firing_for;
        alert.cause = problem.cause.filter(|cause| *cause != key);
        alert.seen = now;
        alert.unknown_since = None;
        let severity = alert.severity;
        let mut fires = false;
        match &mut alert.state {
            State::Pending { since } => {
                *since = (*since).min(now);
                fires = now.since(*since) >= problem.pending_for;
            }
            State::Firing { since, well_since } => {
                *since = (*since).min(now);
                *well_since = None;
            }
            // Nobody was told that it was over: it was not.
            State::Resolved { .. } => fires = true,
        }
        let cause = alert.cause.clone();
        self.explain(&key, before.as_ref(), cause.as_ref());
        if fires {
            self.fire(rules, &key);
        } else if raised {
            if self.get(&key).is_some_and(|alert| alert.acknowledged.is_some()) {
                self.drop_acknowledgement(rules, &key, &format!("it is {severity} now"));
            }
            let says = format!("{key} is {severity} now");
            self.tell(now, AlertEventKind::Raised, Some(&key), says);
        }
        self.plan(rules, &key);
    }

    /// A new life. False if there is no place for it.
    fn open(&mut self, rules: &Rules<'_>, key: &Key, problem: &crate::Problem) -> bool {
        let now = rules.now;
        let before = self.get(key);
        if before.is_none() && self.count >= rules.policy.max_alerts {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        let fired = before.map(|it| it.fired.clone()).unwrap_or_default();
        let told_over = before.and_then(|it| it.told_over);
        // A clock that was set back must not give a name again.
        let opened = before.map_or(now, |it| now.max(it.opened.plus(Duration::from_millis(1))));
        self.touched_alerts.insert(key.clone());
        self.insert(Alert {
            id: AlertId::new(key, opened),
            key: key.clone(),
            state: State::Pending { since: now },
            severity: problem.severity,
            labels: Labels::default(),
            summary: String::new(),
            explanation: Vec::new(),
            advice: None,
            opened,
            seen: now,
            unknown_since: None,
            acknowledged: None,
            hush: None,
            cause: None,
            keep_firing_for: Duration::ZERO,
            fired,
            flapping: false,
            told_over,
            told: BTreeMap::new(),
            members: Vec::new(),
        });
        true
    }

    fn fire(&mut self, rules: &Rules<'_>, key: &Key) {
        let (now, policy) = (rules.now, rules.policy);
        let Some(alert) = self.alert_mut(key) else { return };
        alert.state = State::Firing { since: now, well_since: None };
        alert.fired.retain(|at| *at <= now && now.since(*at) <= policy.flap_window);
        alert.fired.push_back(now);
        while alert.fired.len() > policy.flap_count.max(1) {
            alert.fired.pop_front();
        }
        let flaps = alert.fired.len() >= policy.flap_count.max(2);
        let began = flaps && !alert.flapping;
        alert.flapping = flaps;
        let says = alert.summary.clone();
        self.count_firing(key);
        self.tell(now, AlertEventKind::Opened, Some(key), says);
        if began {
            let says = format!("{key} comes and goes; it is told once until it is quiet");
            self.tell(now, AlertEventKind::Flapping, Some(key), says);
        }
        self.replan_explained(rules, key);
    }

    pub(super) fn resolve(&mut self, rules: &Rules<'_>, key: &Key, why: Option<String>) {
        let Some(alert) = self.alert_mut(key) else { return };
        if alert.is_resolved() {
            return;
        }
        let says = match &why {
            None => format!("{key} is over"),
            Some(why) => format!("{key} is over: {why}"),
        };
        alert.state = State::Resolved { at: rules.now, why };
        alert.acknowledged = None;
        alert.hush = None;
        alert.unknown_since = None;
        alert.flapping = false;
        self.uncount_firing(key);
        self.tell(rules.now, AlertEventKind::Resolved, Some(key), says);
        self.plan(rules, key);
        self.replan_explained(rules, key);
        if let Some(rule) = wide::rule_of(key) {
            self.replan_members(rules, &rule);
        }
    }

    /// What nobody heard of needs no end; that it fired lately is remembered.
    fn drop_pending(&mut self, rules: &Rules<'_>, key: &Key) {
        let Some(alert) = self.get(key) else { return };
        if alert.fired.is_empty() {
            self.forget(key);
        } else if let Some(alert) = self.alert_mut(key) {
            alert.state = State::Resolved { at: rules.now, why: None };
            self.plan(rules, key);
        }
    }

    pub(super) fn forget(&mut self, key: &Key) {
        if self.remove(key).is_some() {
            self.touched_alerts.insert(key.clone());
        }
    }

    fn replan_explained(&mut self, rules: &Rules<'_>, cause: &Key) {
        for key in self.explained.get(cause).cloned().unwrap_or_default() {
            self.plan(rules, &key);
        }
    }
}
