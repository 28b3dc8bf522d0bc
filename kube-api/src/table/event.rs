//! Events, under either of their two groups: they are kept as core ones.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use super::age::since;
use super::column::{NAME, field, string};
use super::text::{or, plain};
use super::{Printer, printer, row};

pub(super) static EVENT: Printer = printer!(
    Event,
    event,
    [
        string("Last Seen", field("core.v1.Event", "lastTimestamp")),
        string("Type", field("core.v1.Event", "type")),
        string("Reason", field("core.v1.Event", "reason")),
        string("Object", field("core.v1.Event", "involvedObject")),
        string("Subobject", field("core.v1.ObjectReference", "fieldPath")).wide(),
        string("Source", field("core.v1.Event", "source")).wide(),
        string("Message", field("core.v1.Event", "message")),
        string("First Seen", field("core.v1.Event", "firstTimestamp")).wide(),
        string("Count", field("core.v1.Event", "count")).wide(),
        NAME.wide(),
    ]
);

fn event(event: &Event, now: Timestamp) -> Vec<Value> {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    let first = first.or_else(|| event.event_time.as_ref().map(|time| time.0));
    let last = event.last_timestamp.as_ref().map(|time| time.0).or(first);
    let (last, count) = match &event.series {
        Some(series) => (series.last_observed_time.as_ref().map(|time| time.0), series.count.unwrap_or(0)),
        // Events of the newer API that happened once carry no count.
        None => (last, event.count.filter(|count| *count != 0).unwrap_or(1)),
    };
    row![
        since(last, now),
        plain(&event.type_),
        plain(&event.reason),
        target(event),
        plain(&event.involved_object.field_path),
        source(event),
        plain(&event.message).trim(),
        since(first, now),
        count,
        plain(&event.metadata.name),
    ]
}

fn target(event: &Event) -> String {
    let kind = plain(&event.involved_object.kind).to_lowercase();
    match plain(&event.involved_object.name) {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

/// The component and the host or instance it ran on.
fn source(event: &Event) -> String {
    let source = event.source.as_ref();
    let component = source.map_or("", |source| plain(&source.component));
    let host = source.map_or("", |source| plain(&source.host));
    let component = or(component, plain(&event.reporting_component));
    match or(host, plain(&event.reporting_instance)) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}
