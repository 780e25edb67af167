//! What was measured: the history of one series, which series there are, and the catalogue.

use std::fmt::Write;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sickbay_model::{InstanceKind, Kind, MetricDef, ResourceId, Timestamp, catalogue};
use sickbay_store::{HistoryAnswer, HistoryQuery, SeriesSpan};
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::{History, HistoryPoint, MetricView, Page, SeriesView};

use super::accept::{self, JSON};
use super::problem::ProblemResponse;
use super::query::{Query, wrong};
use super::resources::parse_id;
use super::{ApiContext, cache, stored, time};

const CSV: &str = "text/csv";
const HISTORY_KNOWN: &[&str] =
    &["resource", "metric", "instance", "from", "to", "step", "max_points", "format"];
/// Points of an answer, unless asked otherwise: as many as a chart has pixels.
const DEFAULT_POINTS: usize = 600;
/// How far back an answer reaches, unless asked otherwise.
const DEFAULT_SPAN: std::time::Duration = std::time::Duration::from_secs(3600);
/// How many instances an error message lists.
const MAX_LISTED: usize = 16;

/// The history of one series, as JSON or CSV.
#[utoipa::path(get, path = "/api/v1/history", tag = "history",
    params(
        ("resource" = String, Query, description = "Of what: a node, or a GPU for its own series", example = "node/gpu-07"),
        ("metric" = String, Query, description = "Which metric, by its catalogue name (see `/api/v1/metrics`)", example = "cpu_used_percent"),
        ("instance" = Option<String>, Query, description = "Which instance, where the metric has several (a mount point, an interface)"),
        ("from" = Option<String>, Query, description = "Start, inclusive: RFC 3339 or before now (`-24h`); by default an hour before `to`"),
        ("to" = Option<String>, Query, description = "End, exclusive; by default now"),
        ("step" = Option<String>, Query, description = "What one point stands for (`60s`, `5m`); by default raw readings where few enough, else a step that fits `max_points`"),
        ("max_points" = Option<u32>, Query, description = "The most points; by default 600"),
        ("format" = Option<String>, Query, description = "`json` or `csv`; by default what `Accept` says")),
    responses(
        (status = 200, description = "The points, oldest first", content(
            (History = "application/json"), (String = "text/csv"))),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn history(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    let query = Query::parse(query.as_deref(), HISTORY_KNOWN)?;
    let csv = wants_csv(&query, &headers)?;
    let (asked, metric, question) = question(&context, &query)?;
    let wanted = question.clone();
    let answer = stored::read(&context, move |store| store.history(&wanted)).await?;
    if csv {
        let name = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        return Ok((name, as_csv(&answer)).into_response());
    }
    cache::fresh_json(&as_json(&asked, metric, &question, answer))
}

/// The series of a resource that have history.
#[utoipa::path(get, path = "/api/v1/series", tag = "history",
    params(("resource" = String, Query, description = "Of what", example = "node/gpu-07")),
    responses((status = 200, description = "The series", body = Page<SeriesView>),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn series(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    let query = Query::parse(query.as_deref(), &["resource"])?;
    accept::json(&headers)?;
    let asked = parse_id("resource", query.required("resource", "node/gpu-07")?)?;
    let (holder, gpu) = holder(&asked)?;
    let spans = stored::read(&context, move |store| store.series(&holder)).await?;
    let items = spans.into_iter().filter_map(|span| series_view(span, gpu.as_deref())).collect();
    cache::fresh_json(&Page::<SeriesView> { items, next_cursor: None })
}

/// The metric catalogue: every metric that Sickbay measures.
#[utoipa::path(get, path = "/api/v1/metrics", operation_id = "metric_catalogue", tag = "history",
    responses((status = 200, description = "The catalogue", body = Page<MetricView>),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn metrics(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    // The catalogue is part of the binary: made once.
    let stamp = cache::Stamp { revision: 0, tick: 0 };
    let answer = context.shared.cache.get_or_make("/api/v1/metrics", stamp, || {
        let items = catalogue::ALL.iter().map(metric_view).collect();
        cache::to_json(&Page::<MetricView> { items, next_cursor: None })
    })?;
    Ok(answer.json(&headers))
}

fn metric_view(metric: &MetricDef) -> MetricView {
    MetricView {
        name: metric.name.to_owned(),
        unit: metric.unit,
        symbol: metric.unit.symbol().to_owned(),
        kind: metric.kind,
        instance: metric.instance,
        help: metric.help.trim().to_owned(),
    }
}

fn series_view(span: SeriesSpan, gpu: Option<&str>) -> Option<SeriesView> {
    let metric = catalogue::find(span.metric)?;
    let of_gpu = |index: &str| match metric.instance {
        InstanceKind::Gpu => span.instance == index,
        InstanceKind::NvLink => span.instance.split_once('/').is_some_and(|(gpu, _)| gpu == index),
        _ => false,
    };
    gpu.is_none_or(of_gpu).then(|| SeriesView {
        metric: metric.name.to_owned(),
        instance: span.instance.clone(),
        unit: metric.unit,
        first: span.first,
        last: span.last,
    })
}

/// Whose frames hold a resource's readings: a GPU's are its node's, under its index.
fn holder(asked: &ResourceId) -> Result<(ResourceId, Option<String>), ProblemResponse> {
    if asked.kind() != Kind::Gpu {
        return Ok((asked.clone(), None));
    }
    let (node, index) = asked
        .name()
        .rsplit_once('/')
        .ok_or_else(|| wrong("resource", asked.as_str(), "a GPU's id", "gpu/gpu-07/0"))?;
    Ok((parse_id("resource", &format!("node/{node}"))?, Some(index.to_owned())))
}

fn question(
    context: &ApiContext,
    query: &Query,
) -> Result<(ResourceId, &'static MetricDef, HistoryQuery), ProblemResponse> {
    let asked = parse_id("resource", query.required("resource", "node/gpu-07")?)?;
    let name = query.required("metric", "cpu_used_percent")?;
    let metric = catalogue::by_name(name).ok_or_else(|| {
        wrong("metric", name, "in the catalogue (/api/v1/metrics lists it)", "cpu_used_percent")
    })?;
    let (resource, gpu) = holder(&asked)?;
    let instance = match (query.one("instance")?, gpu) {
        (Some(instance), _) => instance.to_owned(),
        (None, Some(index)) if metric.instance == InstanceKind::Gpu => index,
        (None, _) if metric.instance == InstanceKind::Node => String::new(),
        (None, _) => return Err(missing_instance(context, &resource, metric)),
    };
    let now = context.now();
    let to = time::instant(query, "to", now)?.unwrap_or(now);
    let from = time::instant(query, "from", now)?.unwrap_or_else(|| to.minus(DEFAULT_SPAN));
    if from >= to {
        return Err(ProblemResponse::bad_parameter(
            "from",
            &format!("{from} is not before `to`, which is {to}"),
            "-1h",
        ));
    }
    let most = context.shared.limits.history_points;
    let question = HistoryQuery {
        resource,
        metric: metric.id,
        instance,
        from,
        to,
        step: time::duration(query, "step")?,
        max_points: query.count("max_points", DEFAULT_POINTS, most)?,
    };
    Ok((asked, metric, question))
}

fn missing_instance(
    context: &ApiContext,
    resource: &ResourceId,
    metric: &MetricDef,
) -> ProblemResponse {
    let snapshot = context.shared.fleet.snapshot();
    let known: Vec<String> = snapshot
        .frames
        .get(resource)
        .map(|frame| frame.instances(metric.id).map(|(name, _)| name.to_owned()).collect())
        .unwrap_or_default();
    let listed = known.iter().take(MAX_LISTED).map(|name| format!("{name:?}"));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let example = known.first().map_or("0", String::as_str);
    let wrong = if listed.is_empty() {
        format!("it is missing; {} has one value per instance", metric.name)
    } else {
        format!("it is missing; {} is measured of {listed}", metric.name)
    };
    ProblemResponse::bad_parameter("instance", &wrong, example)
}

fn wants_csv(query: &Query, headers: &HeaderMap) -> Result<bool, ProblemResponse> {
    match query.one("format")? {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(other) => Err(wrong("format", other, "json or csv", "csv")),
        None => Ok(accept::negotiate(headers, &[JSON, CSV])? == 1),
    }
}

fn as_json(
    asked: &ResourceId,
    metric: &MetricDef,
    question: &HistoryQuery,
    answer: HistoryAnswer,
) -> History {
    let point = |point: sickbay_store::HistoryPoint| HistoryPoint {
        at: point.at,
        min: point.min,
        mean: point.mean,
        max: point.max,
        count: point.count,
    };
    History {
        resource: asked.to_string(),
        metric: metric.name.to_owned(),
        instance: question.instance.clone(),
        unit: metric.unit,
        from: question.from,
        to: question.to,
        step_seconds: answer.step.map_or(0.0, |step| step.as_secs_f64()),
        resolution: answer.resolution.as_str().to_owned(),
        points: answer.points.into_iter().map(point).collect(),
    }
}

fn as_csv(answer: &HistoryAnswer) -> String {
    let mut text = String::from("at,min,mean,max,count\r\n");
    for point in &answer.points {
        let at: Timestamp = point.at;
        let _ = write!(text, "{at},{},{},{},{}\r\n", point.min, point.mean, point.max, point.count);
    }
    text
}
