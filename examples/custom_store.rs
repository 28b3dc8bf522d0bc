//! A store of your own: a memory store that also writes every change to an audit trail before it counts as committed.
//!
//! `cargo run --example custom_store`

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

use coracle::k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use coracle::store::{At, Changes, KeyRange, Outcome, Page, Result as Stored, Revision, Write, conformance};
use coracle::{Cluster, Memory, Store};

/// Wraps any store; a store this small can be wrapped as a tower service can.
struct Audited<S> {
    inner: S,
    commits: AtomicU64,
    trail: std::sync::mpsc::Sender<String>,
}

impl<S: Store> Audited<S> {
    fn new(inner: S, trail: std::sync::mpsc::Sender<String>) -> Self {
        Self { inner, commits: AtomicU64::new(0), trail }
    }
}

#[async_trait::async_trait]
impl<S: Store> Store for Audited<S> {
    async fn range(&self, range: KeyRange, at: At, limit: usize) -> Stored<Page> {
        self.inner.range(range, at, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Stored<Vec<Outcome>> {
        let commit = self.commits.fetch_add(1, Ordering::Relaxed);
        for write in &writes {
            let what = if write.value.is_some() { "put" } else { "delete" };
            // Nobody listens any more: then nobody wants the trail.
            let _heard = self.trail.send(format!("commit {commit}: {what} {}", write.key));
        }
        self.inner.commit(writes).await
    }

    fn changes(&self, range: KeyRange, after: Revision) -> Stored<Changes> {
        self.inner.changes(range, after)
    }

    async fn compact(&self, before: Revision) -> Stored<()> {
        self.inner.compact(before).await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // First the suite that every store must pass, then a cluster on top of it.
    let (unread, _) = std::sync::mpsc::channel();
    conformance::run(async || std::sync::Arc::new(Audited::new(Memory::default(), unread.clone())) as _).await?;
    println!("the store passes {} checks", conformance::CHECKS.len());

    let (trail, read) = std::sync::mpsc::channel();
    let cluster = Cluster::builder().store(Audited::new(Memory::default(), trail)).start().await?;
    let namespace = serde_json::from_str::<Namespace>(r#"{"metadata": {"name": "shop"}}"#)?;
    cluster.api().all::<Namespace>().create(namespace).await?;
    let settings =
        serde_json::from_str::<ConfigMap>(r#"{"metadata": {"name": "settings"}, "data": {"color": "red"}}"#)?;
    let settings_api = cluster.api().namespaced::<ConfigMap>("shop");
    settings_api.create(settings).await?;
    settings_api.delete("settings").await?;
    cluster.shutdown().await;
    for line in read.try_iter().filter(|line| line.contains("shop")) {
        println!("{line}");
    }
    Ok(())
}
