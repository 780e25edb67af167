use sickbay_model::{ResourceId, Timestamp};
use sickbay_runtime::Clock;
use sickbay_store::WriteBatch;

use crate::client::{get, get_with};
use crate::hub::TestHub;
use crate::{fleet, hub};

/// A hub with one reading a minute over the last ten minutes: CPU 10 %, 11 %, …
async fn with_history() -> TestHub {
    let hub = hub::start().await;
    let node: ResourceId = "node/gpu-07".parse().expect("an id");
    let now = Clock::system().now_ms();
    let frames = (0..10_u32)
        .map(|i| {
            let at = now - i64::from(10 - i) * 60_000;
            (node.clone(), fleet::frame(at, 10.0 + f64::from(i)))
        })
        .collect();
    hub.store.submit(WriteBatch { frames, ..WriteBatch::default() }).expect("room");
    assert!(hub.store.flush());
    hub
}

#[tokio::test]
async fn a_series_as_json_and_csv() {
    let hub = with_history().await;
    let cpu = "/api/v1/history?resource=node/gpu-07&metric=cpu_used_percent";
    let history = get(hub.addr, cpu).await.json();
    assert_eq!(history["unit"], "percent");
    assert_eq!(history["resolution"], "raw");
    let points = history["points"].as_array().expect("points");
    assert_eq!(points.len(), 10);
    assert!((points[0]["mean"].as_f64().expect("a number") - 10.0).abs() < 0.01);

    let some = get(hub.addr, &format!("{cpu}&from=-5.5m&to=now")).await.json();
    assert_eq!(some["points"].as_array().map(Vec::len), Some(5));
    let from = Timestamp::from_unix_ms(Clock::system().now_ms() - 330_000);
    let with_offset = from.to_string().replace('Z', "+00:00");
    let same = get(hub.addr, &format!("{cpu}&from={with_offset}")).await.json();
    assert_eq!(same["points"].as_array().map(Vec::len), Some(5), "an unencoded + is understood");

    for (target, accept) in [(format!("{cpu}&format=csv"), "*/*"), (cpu.to_owned(), "text/csv")] {
        let csv = get_with(hub.addr, &target, &[("Accept", accept)]).await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        let lines: Vec<&str> = csv.text().lines().collect();
        assert_eq!((lines[0], lines.len()), ("at,min,mean,max,count", 11));
        assert_eq!(lines[1].split(',').count(), 5);
    }
}

#[tokio::test]
async fn a_gpu_has_the_series_of_its_index() {
    let hub = with_history().await;
    let target = "/api/v1/history?resource=gpu/gpu-07/1&metric=gpu_temperature_celsius";
    let history = get(hub.addr, target).await.json();
    assert_eq!(history["resource"], "gpu/gpu-07/1");
    assert_eq!(history["points"][0]["max"], 62.0);
    for (resource, metrics) in [
        ("gpu/gpu-07/1", vec!["gpu_temperature_celsius"]),
        (
            "gpu/gpu-07/0",
            vec![
                "gpu_clock_megahertz",
                "gpu_energy_joules_total",
                "gpu_temperature_celsius",
                "nvlink_crc_errors_total",
            ],
        ),
        ("node/nobody", vec![]),
    ] {
        let series = get(hub.addr, &format!("/api/v1/series?resource={resource}")).await.json();
        let mut names: Vec<&str> = series["items"]
            .as_array()
            .expect("rows")
            .iter()
            .filter_map(|row| row["metric"].as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, metrics, "{resource}");
    }
}

#[tokio::test]
async fn mistakes_say_what_is_wrong() {
    let hub = with_history().await;
    for (query, said) in [
        ("", "parameter `resource`: it is missing"),
        ("resource=node/gpu-07", "parameter `metric`: it is missing"),
        ("resource=a%20b&metric=load_1m", "parameter `resource`"),
        ("resource=node/gpu-07&metric=speed", "/api/v1/metrics"),
        ("resource=node/gpu-07&metric=filesystem_used_percent", "is measured of \"/\""),
        ("resource=node/gpu-07&metric=load_1m&from=yesterday", "parameter `from`"),
        ("resource=node/gpu-07&metric=load_1m&to=soon", "parameter `to`"),
        ("resource=node/gpu-07&metric=load_1m&from=now&to=-1h", "is not before `to`"),
        ("resource=node/gpu-07&metric=load_1m&step=5", "parameter `step`"),
        ("resource=node/gpu-07&metric=load_1m&step=0s", "parameter `step`"),
        ("resource=node/gpu-07&metric=load_1m&max_points=1000000", "parameter `max_points`"),
        ("resource=node/gpu-07&metric=load_1m&format=xml", "parameter `format`"),
        ("resource=node/gpu-07&metric=load_1m&form=csv", "there is no parameter \"form\""),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/history?{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        let detail = reply.problem().detail;
        assert!(detail.contains(said), "{query}: {detail}");
    }
}

#[tokio::test]
async fn the_catalogue() {
    let hub = hub::start().await;
    let metrics = get(hub.addr, "/api/v1/metrics").await.json();
    let rows = metrics["items"].as_array().expect("rows");
    assert_eq!(rows.len(), sickbay_model::catalogue::ALL.len());
    let load = rows.iter().find(|row| row["name"] == "load_1m").expect("a load");
    assert_eq!(load["help"], "Load average over one minute.");
}
