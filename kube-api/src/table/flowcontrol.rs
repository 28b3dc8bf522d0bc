//! Priority and fairness of requests.

use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, NAME, field, string, text};
use super::text::{NONE, plain};
use super::{Printer, printer, row};

pub(super) static FLOW_SCHEMA: Printer = printer!(
    FlowSchema,
    flow_schema,
    [
        NAME,
        string("PriorityLevel", field("flowcontrol.v1.PriorityLevelConfigurationReference", "name")),
        string("MatchingPrecedence", field("flowcontrol.v1.FlowSchemaSpec", "matchingPrecedence")),
        string("DistinguisherMethod", field("flowcontrol.v1.FlowSchemaSpec", "distinguisherMethod")),
        AGE,
        string("MissingPL", text("references a broken or non-existent PriorityLevelConfiguration")),
    ]
);

fn flow_schema(schema: &FlowSchema, now: Timestamp) -> Vec<Value> {
    let spec = schema.spec.as_ref();
    let conditions = schema.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let dangling = conditions.into_iter().find(|condition| condition.type_.as_deref() == Some("Dangling"));
    let method = spec.and_then(|spec| spec.distinguisher_method.as_ref());
    row![
        plain(&schema.metadata.name),
        spec.map_or("", |spec| spec.priority_level_configuration.name.as_str()),
        spec.and_then(|spec| spec.matching_precedence).unwrap_or(0),
        method.map_or(NONE, |method| method.type_.as_str()),
        age(&schema.metadata, now),
        dangling.map_or("?", |condition| plain(&condition.status)),
    ]
}

pub(super) static PRIORITY_LEVEL: Printer = printer!(
    PriorityLevelConfiguration,
    priority_level,
    [
        NAME,
        string("Type", field("flowcontrol.v1.PriorityLevelConfigurationSpec", "type")),
        string(
            "NominalConcurrencyShares",
            field("flowcontrol.v1.LimitedPriorityLevelConfiguration", "nominalConcurrencyShares")
        ),
        string("Queues", field("flowcontrol.v1.QueuingConfiguration", "queues")),
        string("HandSize", field("flowcontrol.v1.QueuingConfiguration", "handSize")),
        string("QueueLengthLimit", field("flowcontrol.v1.QueuingConfiguration", "queueLengthLimit")),
        AGE,
    ]
);

fn priority_level(level: &PriorityLevelConfiguration, now: Timestamp) -> Vec<Value> {
    let spec = level.spec.as_ref();
    let limited = spec.and_then(|spec| spec.limited.as_ref());
    let queuing = limited.and_then(|limited| limited.limit_response.as_ref()?.queuing.as_ref());
    let number = |value: Option<Option<i32>>| value.map_or(Value::from(NONE), |value| Value::from(value.unwrap_or(0)));
    row![
        plain(&level.metadata.name),
        spec.map_or("", |spec| spec.type_.as_str()),
        number(limited.map(|limited| limited.nominal_concurrency_shares)),
        number(queuing.map(|queuing| queuing.queues)),
        number(queuing.map(|queuing| queuing.hand_size)),
        number(queuing.map(|queuing| queuing.queue_length_limit)),
        age(&level.metadata, now),
    ]
}
