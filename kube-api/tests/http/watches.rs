//! Watches: what each selection sees, from which revision, and how long.

use coracle_api::http::body::Body;
use coracle_core::{Request, Target};
use coracle_store::Store as _;
use futures::FutureExt as _;
use http::Response;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::harness::{CONFIG_MAPS, Cluster};

/// The lines of a watch.
struct Lines(Response<Body>);

impl Lines {
    async fn open(cluster: &Cluster, query: &str) -> Self {
        let response = cluster.send("GET", &format!("{CONFIG_MAPS}?watch=true&{query}"), &[], "").await;
        assert_eq!(response.status(), 200, "{query}");
        Self(response)
    }

    async fn next(&mut self) -> Option<Value> {
        let frame = self.0.body_mut().frame().await?.unwrap().into_data().unwrap();
        assert_eq!(frame.last(), Some(&b'\n'));
        Some(serde_json::from_slice(&frame).unwrap())
    }

    /// What is there without waiting: `ADDED a`, `DELETED b`, `BOOKMARK`.
    fn ready(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(Some(line)) = self.next().now_or_never() {
            told.push(short(&line));
        }
        told
    }
}

fn short(line: &Value) -> String {
    let name = line["object"]["metadata"]["name"].as_str().unwrap_or_default();
    format!("{} {name}", line["type"].as_str().unwrap()).trim().to_owned()
}

async fn two() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.config_map("a", &[("app", "web")]).await;
    cluster.config_map("b", &[("app", "db")]).await;
    cluster
}

#[tokio::test]
async fn begins_with_what_is_there_unless_a_revision_is_given() {
    let now = two().await.revision();
    for (query, expected) in [
        (String::new(), vec!["ADDED a", "ADDED b"]),
        ("resourceVersion=0".into(), vec!["ADDED a", "ADDED b"]),
        (format!("resourceVersion={now}"), vec![]),
        (format!("resourceVersion={}", now.0 - 1), vec!["ADDED b"]),
        ("labelSelector=app%3Dweb".into(), vec!["ADDED a"]),
        ("fieldSelector=metadata.name%3Db".into(), vec!["ADDED b"]),
        ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan".into(), vec![]),
        (
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true".into(),
            vec!["ADDED a", "ADDED b", "BOOKMARK"],
        ),
        (
            format!("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion={now}"),
            vec!["ADDED a", "ADDED b"],
        ),
    ] {
        let cluster = two().await;
        let mut lines = Lines::open(&cluster, &query).await;
        assert_eq!(lines.ready(), expected, "{query}");
        cluster.config_map("z", &[("app", "web")]).await;
        let sees = !query.contains("metadata.name");
        assert_eq!(lines.ready(), if sees { vec!["ADDED z"] } else { vec![] }, "{query}");
    }
}

#[tokio::test]
async fn leaving_a_selection_is_a_deletion_and_coming_back_an_addition() {
    let cluster = two().await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut web = Lines::open(&cluster, "labelSelector=app%3Dweb").await;
    let mut all = Lines::open(&cluster, "").await;
    assert_eq!((web.ready(), all.ready()), (vec!["ADDED a".into()], vec!["ADDED a".into(), "ADDED b".into()]));
    cluster.label(&path, "app", Some("db")).await;
    let left_at = cluster.revision();
    let left = web.next().await.unwrap();
    // The object as it was last seen, at the revision at which it left.
    assert_eq!((short(&left), &left["object"]["metadata"]["labels"]["app"]), ("DELETED a".into(), &json!("web")));
    assert_eq!(left["object"]["metadata"]["resourceVersion"], left_at.to_string());
    cluster.label(&path, "other", Some("x")).await;
    cluster.label(&path, "app", Some("web")).await;
    cluster.label(&path, "other", None).await;
    cluster.ask("DELETE", &path, &[], "").await;
    assert_eq!(web.ready(), ["ADDED a", "MODIFIED a", "DELETED a"]);
    assert_eq!(all.ready(), ["MODIFIED a", "MODIFIED a", "MODIFIED a", "MODIFIED a", "DELETED a"]);
}

#[tokio::test]
async fn a_deletion_is_told_at_its_own_revision() {
    let cluster = two().await;
    let mut lines = Lines::open(&cluster, &format!("resourceVersion={}", cluster.revision())).await;
    cluster.ask("DELETE", &format!("{CONFIG_MAPS}/a"), &[], "").await;
    let line = lines.next().await.unwrap();
    assert_eq!(short(&line), "DELETED a");
    assert_eq!(line["object"]["metadata"]["resourceVersion"], cluster.revision().to_string());
}

/// Everything that happens to a few objects, as seen from each revision on, is the same from the journal and the store.
#[tokio::test]
async fn history_comes_from_the_store_when_the_journal_has_it_not() {
    let cluster = two().await;
    let path = format!("{CONFIG_MAPS}/a");
    cluster.label(&path, "app", Some("db")).await;
    cluster.label(&path, "app", Some("web")).await;
    cluster.ask("DELETE", &path, &[], "").await;
    cluster.config_map("c", &[("app", "web")]).await;
    let later = Cluster::over(cluster.store.clone()).await;
    for selector in ["", "labelSelector=app%3Dweb", "fieldSelector=metadata.name%3Da"] {
        for revision in 1..=cluster.revision().0 {
            let query = format!("resourceVersion={revision}&{selector}");
            let (mut journal, mut store) = (Lines::open(&cluster, &query).await, Lines::open(&later, &query).await);
            let mut count = 0;
            while let Some(Some(line)) = journal.next().now_or_never() {
                assert_eq!(store.next().now_or_never().flatten(), Some(line), "{query}");
                count += 1;
            }
            assert!(count > 0 || revision >= 4, "{query}");
            assert_eq!(store.ready(), [""; 0], "{query}");
        }
    }
    let mut lines = Lines::open(&later, "resourceVersion=1&labelSelector=app%3Dweb").await;
    assert_eq!(lines.ready(), ["DELETED a", "ADDED a", "DELETED a", "ADDED c"]);
    later.config_map("d", &[("app", "web")]).await;
    assert_eq!(lines.ready(), ["ADDED d"]);
}

#[tokio::test]
async fn forgotten_history_ends_a_watch_with_an_error_event() {
    let cluster = two().await;
    cluster.config_map("c", &[]).await;
    cluster.store.compact(cluster.revision()).await.unwrap();
    let later = Cluster::over(cluster.store.clone()).await;
    let mut lines = Lines::open(&later, "resourceVersion=1").await;
    let line = lines.next().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(line["object"]["reason"], "Expired");
    assert!(line["object"]["message"].as_str().unwrap().starts_with("too old resource version: 1 ("), "{line}");
    assert_eq!(lines.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_tell_how_far_a_watch_is_and_timeouts_end_it() {
    let cluster = two().await;
    let query = format!("resourceVersion={}&allowWatchBookmarks=true&timeoutSeconds=90", cluster.revision());
    let mut lines = Lines::open(&cluster, &query).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    cluster.post("/api/v1/namespaces/default/secrets", &secret).await;
    let begun = tokio::time::Instant::now();
    let bookmark = lines.next().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_eq!(bookmark["type"], "BOOKMARK");
    let object = &bookmark["object"];
    assert_eq!((&object["kind"], &object["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    assert_eq!(object["metadata"]["resourceVersion"], cluster.revision().to_string());
    assert_eq!(lines.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(lines.next().await, None);
    assert_eq!(begun.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn a_watch_lasts_half_an_hour_to_an_hour_by_default() {
    let cluster = two().await;
    let mut lines = Lines::open(&cluster, &format!("resourceVersion={}", cluster.revision())).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(lines.next().await, None);
    assert!((1_800..3_600).contains(&begun.elapsed().as_secs()));
}

#[tokio::test]
async fn initial_events_end_with_an_annotated_bookmark() {
    let cluster = Cluster::start().await;
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut lines = Lines::open(&cluster, query).await;
    let line = lines.next().await.unwrap();
    assert_eq!(line["object"]["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
}

#[tokio::test]
async fn watches_in_other_forms() {
    let cluster = two().await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let mut lines = Lines(cluster.send("GET", &format!("{CONFIG_MAPS}?watch=1"), &table, "").await);
    let (first, second) = (lines.next().await.unwrap(), lines.next().await.unwrap());
    assert_eq!(first["object"]["kind"], "Table");
    assert!(first["object"]["columnDefinitions"].is_array());
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["object"]["metadata"]["name"], "b");
    let partial = [("accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")];
    let mut lines = Lines(cluster.send("GET", &format!("{CONFIG_MAPS}?watch=1"), &partial, "").await);
    let line = lines.next().await.unwrap();
    assert_eq!((&line["object"]["kind"], &line["object"]["data"]), (&json!("PartialObjectMetadata"), &Value::Null));
    let legacy = "/api/v1/watch/namespaces/default/configmaps/b";
    assert_eq!(Lines(cluster.send("GET", legacy, &[], "").await).ready(), ["ADDED b"]);
}

#[tokio::test]
async fn ten_thousand_watchers_share_one_line() {
    let cluster = Cluster::start().await;
    let mut watchers = Vec::new();
    for _ in 0..10_000 {
        watchers.push(Lines::open(&cluster, "").await);
    }
    for watcher in &mut watchers {
        assert_eq!(watcher.ready(), [""; 0]);
    }
    cluster.config_map("a", &[]).await;
    let mut shared = None;
    for watcher in &mut watchers {
        let frame = watcher.0.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(*shared.get_or_insert(frame.as_ptr()), frame.as_ptr());
    }
}

#[tokio::test]
async fn a_watch_far_behind_loses_nothing() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", &[]).await;
    let mut slow = Lines::open(&cluster, &format!("resourceVersion={}", cluster.revision())).await;
    assert_eq!(slow.ready(), [""; 0]);
    let changes = coracle_core::feed::JOURNAL_EVENTS_MAX + 10;
    for number in 0..changes {
        let target = Target::named::<ConfigMap>("default", "a");
        let edit = Request::edit(target, move |map: &mut ConfigMap| {
            map.metadata.labels.get_or_insert_default().insert("n".to_owned(), number.to_string());
            Ok(())
        });
        cluster.gateway.execute(edit).await.unwrap();
    }
    let mut expected = 0;
    while let Some(Some(line)) = slow.next().now_or_never() {
        assert_eq!(line["object"]["metadata"]["labels"]["n"], expected.to_string());
        expected += 1;
    }
    assert_eq!(expected, changes);
}

#[tokio::test]
async fn shutdown_ends_watches() {
    let cluster = two().await;
    let mut lines = Lines::open(&cluster, &format!("resourceVersion={}", cluster.revision())).await;
    assert_eq!(lines.ready(), [""; 0]);
    cluster.server.begin_shutdown();
    assert_eq!(lines.next().await, None);
}
