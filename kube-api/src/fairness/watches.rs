//! How many watch what: a write is more work the more hear of it. Source: `flowcontrol.WatchTracker`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coracle_core::selector::FieldSelector;

use crate::http::request_info::RequestInfo;

/// The watches that go on, counted by the hash of what they are about: an estimate may be off by what collides.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<BTreeMap<u64, usize>>);

/// A watch that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    watches: Arc<Watches>,
    about: u64,
}

impl Watches {
    /// Counts a watch, unless it hears of few objects only.
    pub(super) fn count(self: &Arc<Self>, info: &RequestInfo) -> Option<Watching> {
        if info.verb != "watch" || is_of_one_node(info) {
            return None;
        }
        let about = about(info, &info.namespace, &info.name);
        *self.lock().entry(about).or_default() += 1;
        Some(Watching { watches: self.clone(), about })
    }

    /// How many hear of a write: who watches all, the namespace, or the object.
    pub(super) fn interested(&self, info: &RequestInfo) -> usize {
        let counts = self.lock();
        let of = |namespace: &str, name: &str| counts.get(&about(info, namespace, name)).copied().unwrap_or(0);
        let (namespace, name) = (&*info.namespace, &*info.name);
        let in_namespace = if namespace.is_empty() { 0 } else { of(namespace, "") };
        let of_object = if name.is_empty() { 0 } else { of(namespace, name) };
        of("", "") + in_namespace + of_object
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        // A poisoned lock only means that another thread panicked between two complete steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut counts = self.watches.lock();
        if let Some(count) = counts.get_mut(&self.about) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.about);
            }
        }
    }
}

/// The pods of a node are found by an index, so that their watchers cost nothing when other pods change.
fn is_of_one_node(info: &RequestInfo) -> bool {
    if info.resource != "pods" || info.fields.is_empty() {
        return false;
    }
    let fields = FieldSelector::parse(&info.fields).ok();
    fields.and_then(|fields| fields.require("spec.nodeName").map(|node| !node.is_empty())).unwrap_or(false)
}

fn about(info: &RequestInfo, namespace: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&*info.group, &*info.resource, namespace, name).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::http::query::Query;

    fn info(method: Method, target: &str) -> RequestInfo {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        RequestInfo::of(&method, path, &Query::parse(query))
    }

    #[test]
    fn a_write_is_heard_by_those_who_watch_its_object() {
        let watches = Arc::new(Watches::default());
        let watched = [
            "/api/v1/pods?watch=1",
            "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn",
            "/api/v1/namespaces/a/pods?watch=1",
            "/api/v1/namespaces/a/pods?watch=1&fieldSelector=metadata.name%3Dx",
            "/api/v1/namespaces/b/pods?watch=1",
            "/api/v1/configmaps?watch=1",
        ];
        let counted: Vec<_> = watched.iter().map(|target| watches.count(&info(Method::GET, target))).collect();
        let write = |path| watches.interested(&info(Method::PUT, path));
        assert_eq!(write("/api/v1/namespaces/a/pods/x"), 3);
        assert_eq!(write("/api/v1/namespaces/a/pods/y"), 2);
        assert_eq!(write("/api/v1/namespaces/c/pods/x"), 1);
        assert_eq!(write("/api/v1/namespaces/c/secrets/x"), 0);
        drop(counted);
        assert_eq!(write("/api/v1/namespaces/a/pods/x"), 0);
        assert!(watches.lock().is_empty());
    }
}
