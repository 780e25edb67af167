use crate::client::get;
use crate::hub;

#[tokio::test]
async fn pages_in_both_orders_and_filters() {
    let hub = hub::start().await;
    hub.add_events(1..=25, false);
    let begin = sickbay_model::Timestamp::from_unix_ms(hub::EVENTS_BEGIN_MS + 20_000);
    for (query, expected) in [
        (String::new(), (1..=25).rev().collect::<Vec<u64>>()),
        ("?limit=3".to_owned(), vec![25, 24, 23]),
        ("?order=asc&limit=3".to_owned(), vec![1, 2, 3]),
        ("?after=22".to_owned(), vec![23, 24, 25]),
        ("?after=22&order=desc".to_owned(), vec![25, 24, 23]),
        ("?before=3".to_owned(), vec![2, 1]),
        ("?after=4&before=6".to_owned(), vec![5]),
        ("?kind=JOB_STARTED&limit=2".to_owned(), vec![25, 23]),
        ("?kind=job_started,LEVEL_CHANGED&limit=2".to_owned(), vec![25, 24]),
        ("?resource=node/gpu-07&limit=1".to_owned(), vec![25]),
        ("?resource=node/calm".to_owned(), vec![]),
        (format!("?from={begin}&order=asc"), vec![20, 21, 22, 23, 24, 25]),
        (format!("?to={begin}&limit=1"), vec![19]),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/events{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        assert_eq!(ids(&reply.json()), expected, "{query}");
    }
    for order in ["asc", "desc"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let target = format!("/api/v1/events?order={order}&limit=10&cursor={cursor}");
            let page = get(hub.addr, &target).await.json();
            seen.extend(ids(&page));
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        let mut expected: Vec<u64> = (1..=25).collect();
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!(seen, expected, "{order}");
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let hub = hub::start().await;
    for (query, said) in [
        ("?after=x", "parameter `after`"),
        ("?after=-1", "parameter `after`"),
        ("?kind=PARTY", "LEVEL_CHANGED"),
        ("?order=up", "parameter `order`"),
        ("?limit=1001", "1 to 1000"),
        ("?resource=%20", "parameter `resource`"),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/events{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply.problem().detail.contains(said), "{query}");
    }
}

fn ids(page: &serde_json::Value) -> Vec<u64> {
    page["items"].as_array().expect("rows").iter().filter_map(|row| row["id"].as_u64()).collect()
}
