//! What admission is asked before a stream into a container is opened: the request's parameters as an object.

use coracle_core::custom::CustomObject;
use coracle_core::{Action, Body, Options, Request, Status, Target};
use serde_json::{Map, Value, json};

use super::proxy::Name;
use super::query::Query;
use super::resources::Call;
use super::write::target;

/// Parameters that are flags, and that are texts. Source: `v1` PodExecOptions, PodAttachOptions, PodProxyOptions.
const FLAGS: [&str; 4] = ["stdin", "stdout", "stderr", "tty"];
const TEXTS: [&str; 2] = ["container", "path"];

/// Lets admission decide about a stream. What it makes of the parameters.
pub(super) async fn admit(call: &Call<'_>) -> Result<Query, Status> {
    let asked = fields(call.query);
    let Some(below) = call.kind.subresource(&call.info.subresource) else { return Ok(call.query.clone()) };
    let (group, version, kind) = &below.body;
    let options = CustomObject {
        api_version: coracle_core::kind::api_version(group, version),
        kind: kind.clone().into_owned(),
        fields: asked.clone(),
        ..CustomObject::default()
    };
    let action = Action::Connect(Body::Value(Box::new(options)));
    // Admission decides about the object; what a proxy's name says of schemes and ports is the proxy's.
    let name = Name::parse(&call.info.name, &call.kind)?.name.to_owned();
    let target = Target { name: name.into(), ..target(call) };
    let options = Options { remarks: call.remarks.clone(), ..Options::default() };
    let request = Request { target, action, options, user: call.user.clone() };
    let outcome = call.server.reader.gateway().execute(request).await?;
    let wanted = outcome.object.as_deref().and_then(|object| object.get::<CustomObject>());
    Ok(match wanted {
        Some(wanted) if wanted.fields != asked => rewritten(call.query, &wanted.fields),
        _ => call.query.clone(),
    })
}

/// The parameters with others than those that were asked for.
fn rewritten(query: &Query, wanted: &Map<String, Value>) -> Query {
    let mut query = query.clone();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for name in FLAGS.into_iter().chain(TEXTS).chain(["command", "ports"]) {
        let values = match wanted.get(name) {
            Some(Value::Array(items)) => items.iter().map(text).collect(),
            Some(value) => vec![text(value)],
            // Streams that are not named are those that the client wants, unless it wants some by name.
            None if query.get(name).is_some() && FLAGS.contains(&name) => vec!["false".to_owned()],
            None => Vec::new(),
        };
        query.set(name, values);
    }
    query
}

fn fields(query: &Query) -> Map<String, Value> {
    let flags = FLAGS.into_iter().filter(|name| query.flag(name) == Some(true)).map(|name| (name, json!(true)));
    let texts = TEXTS.into_iter().map(|name| (name, query.text(name)));
    let texts = texts.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, json!(text)));
    let command: Vec<&str> = query.all("command").collect();
    let command = (!command.is_empty()).then(|| ("command", json!(command)));
    let ports: Vec<i64> = query.all("ports").filter_map(|port| port.parse().ok()).collect();
    let ports = (!ports.is_empty()).then(|| ("ports", json!(ports)));
    flags.chain(texts).chain(command).chain(ports).map(|(name, value)| (name.to_owned(), value)).collect()
}
