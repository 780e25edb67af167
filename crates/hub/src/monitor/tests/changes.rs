//! Nodes that come and go.

use super::*;

#[tokio::test(start_paused = true)]
async fn added_nodes_are_watched_survive_a_restart_and_go_when_they_are_removed() {
    let play = Play::new(vec![node("fixed", "a")]);
    play.run(async |hub| {
        assert_eq!(hub.add(node("extra", "b")).await, Ok(()));
        tokio::time::sleep(s(10)).await;
        assert!(hub.stage.asked("extra").len() >= 2);
        let definition = hub.entry("extra").definition.clone().expect("defined");
        assert_eq!(definition.origin, NodeOrigin::Added);
        assert_eq!(hub.store.nodes().expect("readable").len(), 1, "before it was answered");

        let mut orphan = node("orphan", "b");
        orphan.parent = Some("nobody".to_owned());
        for (refused, expected) in [
            (hub.add(node("extra", "b")).await, "is watched already"),
            (hub.add(node("here", "b")).await, "is watched already"),
            (hub.add(node("no good name", "b")).await, "name"),
            (hub.add(orphan).await, "nobody is not watched"),
            (hub.remove("fixed").await, "take it out of `nodes`"),
            (hub.remove("here").await, "own machine"),
            (hub.remove("stranger").await, "is not watched"),
        ] {
            let refused = refused.expect_err(expected).to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    })
    .await;
    play.run(async |hub| {
        tokio::time::sleep(s(5)).await;
        assert_eq!(hub.stale("extra"), None, "it is asked again");
        hub.stage.set("extra", Act::Hangs);
        tokio::time::sleep(s(20)).await;
        // Even while it is being asked.
        assert_eq!(hub.remove("extra").await, Ok(()));
        tokio::time::sleep(s(1)).await;
        assert_eq!(hub.level("extra"), None);
        assert!(!hub.snapshot().nodes.contains_key(&id("extra")));
        assert_eq!(hub.status.status().schedule.targets, 2);
        assert_eq!(hub.store.nodes().expect("readable"), []);
        let told = hub.events(&[EventKind::NodeAdded, EventKind::NodeRemoved]);
        let extra = || "extra".to_owned();
        assert_eq!(told, [(EventKind::NodeAdded, extra()), (EventKind::NodeRemoved, extra())]);
        let asked = hub.stage.asked("extra").len();
        tokio::time::sleep(s(60)).await;
        assert_eq!(hub.stage.asked("extra").len(), asked, "nobody asks it any more");
        assert_eq!(hub.add(node("extra", "b")).await, Ok(()), "the name is free again");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_refused_and_not_done() {
    let play = Play::new(vec![]);
    // A directory that cannot be made: the store keeps everything in memory.
    std::fs::write(play.data.path().join("data"), b"").expect("written");
    play.run(async |hub| {
        let refused = hub.add(node("extra", "b")).await.expect_err("refused");
        assert!(matches!(&refused, CommandError::NotKept(why) if why.contains("forgotten")));
        tokio::time::sleep(s(10)).await;
        assert!(hub.stage.asked("extra").is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_what_changed_and_leaves_the_rest_its_session() {
    let play = Play::new(vec![node("keeps", "a"), node("moves", "a"), node("goes", "a")]);
    play.run(async |hub| {
        tokio::time::sleep(s(10)).await;
        assert_eq!(hub.add(node("added", "b")).await, Ok(()));
        assert_eq!(hub.add(node("later", "b")).await, Ok(()));
        tokio::time::sleep(s(5)).await;
        let since = |name: &str| hub.snapshot().resources[&id(name)].summary.since;
        let before = since("moves");
        hub.reload(|settings| {
            settings.nodes.retain(|node| node.name != "goes");
            settings.nodes[1].target.port = Some(2222);
            settings.nodes.push(node("comes", "c"));
            // From now on the config defines it.
            settings.nodes.push(node("later", "c"));
        })
        .await;
        tokio::time::sleep(s(5)).await;
        let ended = ["keeps", "moves", "goes", "added", "comes"].map(|name| hub.stage.ended(name));
        assert_eq!(ended, [0, 1, 1, 0, 0]);
        assert_eq!(since("moves"), before, "its state stays");
        assert!(!hub.stage.asked("comes").is_empty());
        assert_eq!(hub.level("goes"), None);
        let origin = |name: &str| hub.entry(name).definition.as_ref().map(|it| it.origin);
        assert_eq!(origin("later"), Some(NodeOrigin::Config));
        let refused = hub.remove("later").await.expect_err("it is the config's");
        assert!(refused.to_string().contains("`nodes`"), "{refused}");
        let told = hub.events(&[EventKind::NodeAdded, EventKind::NodeRemoved]);
        let names: Vec<_> = told.iter().map(|(_, of)| of.as_str()).collect();
        assert_eq!(names, ["added", "later", "comes", "goes"]);

        // Out of the config it is what was added again.
        hub.reload(|_| {}).await;
        tokio::time::sleep(s(5)).await;
        assert_eq!(origin("later"), Some(NodeOrigin::Added));
        assert!(hub.level("goes").is_some(), "it came back with the old config");
        // Settings that all sessions share: every session is opened anew, this machine's collectors are.
        let before = hub.stage.ended("keeps");
        hub.reload(|settings| settings.ssh.accept_new = true).await;
        tokio::time::sleep(s(5)).await;
        assert_eq!(hub.stage.ended("keeps"), before + 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_now_does_not_appear_later_either() {
    let play = Play::new(vec![]);
    play.run(async |hub| {
        assert_eq!(hub.add(node("kept", "b")).await, Ok(()));
        let file = play.data.path().join("data").join(sickbay_store::DATABASE_FILE);
        let other = rusqlite::Connection::open(file).expect("opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("nobody else may write");
        for refused in [hub.add(node("extra", "b")).await, hub.remove("kept").await] {
            let refused = refused.expect_err("refused");
            assert!(matches!(&refused, CommandError::NotKept(why) if why.contains("not done")));
        }
        other.execute_batch("ROLLBACK").expect("ends");
        tokio::time::sleep(s(10)).await;
        assert!(hub.store.flush());
        let stored = hub.store.nodes().expect("readable");
        let names: Vec<_> = stored.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["kept"]);
        assert!(hub.stage.asked("extra").is_empty() && !hub.stage.asked("kept").is_empty());
    })
    .await;
}
