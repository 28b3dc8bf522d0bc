//! Which happenings are one Event: the same again is counted, many that are alike become one, and who tells too much is cut
//! short. Source: client-go `tools/record/events_cache.go`; for series `tools/events/event_broadcaster.go`.

use std::collections::BTreeSet;
use std::sync::Arc;

use coracle_core::time::whole_seconds;
use coracle_core::{Happening, Request, Status, Target};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSeries, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::recent::Recent;

/// Happenings that are remembered, to be counted when they happen again.
const REMEMBERED_MAX: usize = 4_096;
/// Events that one object may cause at once.
const BURST: f64 = 25.0;
/// Seconds until an object may cause one more.
const REFILL_SECONDS: f64 = 300.0;
/// With so many different notes, happenings of one reason become one Event.
const ALIKE_MAX: usize = 10;
/// For how long after the last one happenings count as alike.
const ALIKE_FOR: SignedDuration = SignedDuration::from_mins(10);
/// A series ends when nothing happened for so long.
const SERIES_FOR: SignedDuration = SignedDuration::from_mins(6);

/// What is known of Events already stored.
pub(super) struct Correlator {
    known: Recent<Subject, Known>,
    alike: Recent<Subject, Alike>,
    budgets: Recent<(Arc<str>, &'static str), Budget>,
}

/// What makes two happenings the same, or, with an empty note, alike.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Subject {
    uid: Arc<str>,
    field: String,
    reason: &'static str,
    note: String,
    reporter: &'static str,
}

/// A stored Event.
struct Known {
    name: String,
    at: Timestamp,
}

/// Happenings of one reason.
struct Alike {
    notes: BTreeSet<String>,
    at: Timestamp,
}

struct Budget {
    tokens: f64,
    at: Timestamp,
}

impl Default for Correlator {
    fn default() -> Self {
        let (known, alike) = (Recent::new(REMEMBERED_MAX), Recent::new(REMEMBERED_MAX));
        Self { known, alike, budgets: Recent::new(REMEMBERED_MAX) }
    }
}

impl Correlator {
    /// The request by which a happening is stored; `None` if too much was told of its object already.
    pub(super) fn request(
        &mut self,
        mut happening: Happening,
        now: Timestamp,
        number: impl FnOnce() -> u64,
        is_stored: impl FnOnce(&str, &str) -> bool,
    ) -> Option<Request> {
        let subject = subject(&happening);
        let serial = !happening.action.is_empty();
        // Source: `EventAggregate`, then the spam filter; a series needs neither.
        let subject = if serial { Subject { note: String::new(), ..subject } } else { self.combined(subject, now) };
        if !serial && !self.affords((subject.uid.clone(), happening.reporter), now) {
            return None;
        }
        if !serial && subject.note.is_empty() {
            happening.note = format!("(combined from similar events): {}", happening.note);
        }
        let namespace = namespace_of(&happening).to_owned();
        let known = self.known.take(&subject).filter(|known| !serial || now.duration_since(known.at) <= SERIES_FOR);
        let (name, request) = match known.filter(|known| is_stored(&namespace, &known.name)) {
            Some(Known { name, .. }) => {
                let request = again(&namespace, &name, happening.note, serial, now);
                (name, request)
            }
            None => {
                let event = event(happening, &namespace, now, number());
                (event.metadata.name.clone().unwrap_or_default(), Request::create(event))
            }
        };
        self.known.put(subject, Known { name, at: now });
        Some(request)
    }

    /// What a happening is counted as: itself, or, with an empty note, one of many that are alike.
    fn combined(&mut self, subject: Subject, now: Timestamp) -> Subject {
        let group = Subject { note: String::new(), field: String::new(), ..subject.clone() };
        let known = self.alike.take(&group).filter(|alike| now.duration_since(alike.at) <= ALIKE_FOR);
        let mut alike = known.unwrap_or_else(|| Alike { notes: BTreeSet::new(), at: now });
        alike.at = now;
        alike.notes.insert(subject.note.clone());
        let is_combined = alike.notes.len() >= ALIKE_MAX;
        if is_combined {
            alike.notes.pop_first();
        }
        self.alike.put(group.clone(), alike);
        if is_combined { group } else { subject }
    }

    fn affords(&mut self, who: (Arc<str>, &'static str), now: Timestamp) -> bool {
        let budget = self.budgets.take(&who);
        let tokens = budget.map_or(BURST, |budget| budget.refilled(now));
        let affords = tokens >= 1.0;
        self.budgets.put(who, Budget { tokens: if affords { tokens - 1.0 } else { tokens }, at: now });
        affords
    }
}

impl Budget {
    fn refilled(&self, now: Timestamp) -> f64 {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.0);
        (self.tokens + seconds / REFILL_SECONDS).min(BURST)
    }
}

fn subject(happening: &Happening) -> Subject {
    Subject {
        uid: happening.regarding.uid.as_deref().unwrap_or("").into(),
        field: happening.regarding.field_path.clone().unwrap_or_default(),
        reason: happening.reason,
        note: happening.note.clone(),
        reporter: happening.reporter,
    }
}

fn namespace_of(happening: &Happening) -> &str {
    happening.regarding.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}

fn event(happening: Happening, namespace: &str, now: Timestamp, number: u64) -> Event {
    let name = happening.regarding.name.as_deref().unwrap_or("");
    let host = (!happening.host.is_empty()).then(|| happening.host.to_string());
    let event = Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}", number >> 4)),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: Arc::unwrap_or_clone(happening.regarding),
        reason: Some(happening.reason.to_owned()),
        message: Some(happening.note),
        type_: Some(happening.severity.as_str().to_owned()),
        reporting_component: Some(happening.reporter.to_owned()),
        ..Event::default()
    };
    if happening.action.is_empty() {
        return Event {
            source: Some(EventSource { component: Some(happening.reporter.to_owned()), host: host.clone() }),
            first_timestamp: Some(whole_seconds(now)),
            last_timestamp: Some(whole_seconds(now)),
            count: Some(1),
            reporting_instance: host,
            ..event
        };
    }
    Event {
        action: Some(happening.action.to_owned()),
        event_time: Some(MicroTime(now)),
        reporting_instance: Some(host.unwrap_or_else(|| format!("{}-0", happening.reporter))),
        ..event
    }
}

/// The Event once more: with a count, or as a series of which the first note stays.
fn again(namespace: &str, name: &str, note: String, serial: bool, now: Timestamp) -> Request {
    Request::edit(Target::named::<Event>(namespace, name), move |event: &mut Event| {
        if serial {
            let series = event.series.get_or_insert_with(|| EventSeries { count: Some(1), ..EventSeries::default() });
            series.count = Some(series.count.unwrap_or(1) + 1);
            series.last_observed_time = Some(MicroTime(now));
        } else {
            event.count = Some(event.count.unwrap_or(1) + 1);
            event.last_timestamp = Some(whole_seconds(now));
            event.message = Some(note.clone());
        }
        Ok::<(), Status>(())
    })
}
