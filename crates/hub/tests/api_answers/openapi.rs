//! The description is whole and true: every route is in it, it is well-formed, and the parameters
//! that it lists are the ones that are accepted.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{ask, get};
use crate::{fleet, hub};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Every operation: method, path, description.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, item)| {
            METHODS.into_iter().filter_map(move |method| {
                item.get(method).map(|operation| (method, path.as_str(), operation))
            })
        })
        .collect()
}

fn example_path(path: &str) -> String {
    path.replace("{kind}", "node").replace("{name}", "calm")
}

#[tokio::test]
async fn the_document_is_well_formed() {
    let hub = hub::start().await;
    let document = get(hub.addr, "/api/openapi.json").await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().expect("an operationId");
        assert!(ids.insert(id.to_owned()), "{place}: {id} is taken");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let documented: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(in_path, documented, "{place}");
        for parameter in &parameters {
            assert!(parameter["description"].is_string(), "{place} {parameter}");
            assert!(parameter["schema"].is_object(), "{place} {parameter}");
        }
    }
    every_reference_leads_somewhere(&document, &document);
}

fn every_reference_leads_somewhere(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("a local reference");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            fields.values().for_each(|field| every_reference_leads_somewhere(document, field));
        }
        Value::Array(items) => {
            items.iter().for_each(|item| every_reference_leads_somewhere(document, item));
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_route_is_documented() {
    let hub = hub::start().await;
    hub.put_node("calm", Some(fleet::watched("calm", &[], 0)));
    // Nobody obeys: what would change something is told at once that the hub stops.
    drop(hub.asked.lock().expect("no panic").take());
    let document: Value = serde_json::from_str(&sickbay_hub::api::openapi_json()).expect("JSON");
    let documented: BTreeSet<String> =
        operations(&document).into_iter().map(|(m, path, _)| format!("{m} {path}")).collect();
    let promised = [
        "get /health",
        "get /livez",
        "get /ready",
        "get /readyz",
        "get /metrics",
        "get /status",
        "get /api/v1/fleet",
        "get /api/v1/stragglers",
        "get /api/v1/nodes",
        "post /api/v1/nodes",
        "get /api/v1/nodes/{name}",
        "delete /api/v1/nodes/{name}",
        "post /api/v1/nodes/{name}/breaker/reset",
        "post /api/v1/nodes/{name}/forget",
        "get /api/v1/resources",
        "get /api/v1/resources/{kind}/{name}",
        "get /api/v1/history",
        "get /api/v1/series",
        "get /api/v1/metrics",
        "get /api/v1/events",
        "get /api/v1/hub",
        "get /api/v1/stream",
        "get /api/v1/session",
        "post /api/v1/session",
        "delete /api/v1/session",
        "get /api/openapi.json",
    ];
    assert_eq!(documented, promised.map(str::to_owned).into());
    // And the other way: what is documented is served, other methods are not.
    for path in document["paths"].as_object().expect("paths").keys() {
        let target = example_path(path);
        for method in METHODS {
            let known = documented.contains(&format!("{method} {path}"));
            if path == "/api/v1/stream" && known {
                continue;
            }
            let method = method.to_uppercase();
            let status = ask(hub.addr, &method, &target, &[], b"").await.status;
            assert_eq!(status == 405, !known, "{method} {path}: {status}");
            assert_ne!(status, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_documented_parameters_are_the_accepted_ones() {
    let hub = hub::start().await;
    let document = get(hub.addr, "/api/openapi.json").await.json();
    for (method, path, operation) in operations(&document) {
        let target = format!("{}?no_such_parameter=1", example_path(path));
        let json = [("Content-Type", "application/json")];
        let reply = ask(hub.addr, &method.to_uppercase(), &target, &json, b"").await;
        assert_eq!(reply.status, 400, "{method} {path}");
        let detail = reply.problem().detail;
        let (_, listed) = detail.split_once("the parameters are: ").expect("the known ones");
        let accepted: BTreeSet<&str> = listed
            .split(", ")
            .filter(|name| *name != "none")
            .map(|n| n.trim_matches('`'))
            .collect();
        let documented: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(accepted, documented, "{method} {path}");
    }
}
