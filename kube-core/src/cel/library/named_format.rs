//! Kubernetes' formats of text: `!format.dns1123Label().validate(self).hasValue()`. Source: apiserver `library/format.go`.

use std::sync::Arc;

use super::{Call, Opaque, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};
use crate::field::format;

/// A format and the check behind it.
#[derive(Clone, Copy, Debug)]
pub struct NamedFormat {
    name: &'static str,
    check: fn(&str) -> Vec<String>,
}

impl PartialEq for NamedFormat {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const NEW: &[&str] = &["() format"];

/// Function, name, check.
const FORMATS: [NamedFormat; 15] = [
    NamedFormat { name: "dns1123Label", check: |text| words(format::dns1123_label(text)) },
    NamedFormat { name: "dns1123Subdomain", check: |text| words(format::dns1123_subdomain(text)) },
    NamedFormat { name: "dns1035Label", check: |text| words(format::dns1035_label(text)) },
    NamedFormat { name: "qualifiedName", check: |text| words(format::label_key(text)) },
    NamedFormat { name: "dns1123LabelPrefix", check: |text| words(format::dns1123_label(unmasked(text))) },
    NamedFormat { name: "dns1123SubdomainPrefix", check: |text| words(format::dns1123_subdomain(unmasked(text))) },
    NamedFormat { name: "dns1035LabelPrefix", check: |text| words(format::dns1035_label(unmasked(text))) },
    NamedFormat { name: "labelValue", check: |text| words(format::label_value(text)) },
    NamedFormat { name: "uri", check: |text| fits("uri", text, "invalid uri") },
    NamedFormat { name: "uuid", check: |text| fits("uuid", text, "does not match the UUID format") },
    NamedFormat { name: "byte", check: |text| fits("byte", text, "invalid base64") },
    NamedFormat { name: "date", check: |text| fits("date", text, "invalid date") },
    NamedFormat { name: "datetime", check: |text| fits("date-time", text, "invalid datetime") },
    NamedFormat { name: "date-time", check: |text| fits("date-time", text, "invalid datetime") },
    NamedFormat { name: "labelKey", check: |text| words(format::label_key(text)) },
];

pub(super) const ROWS: &[Row] = &[
    ("format.named", &["(string) optional(format)"], Cost::Units(1), |call| match call.args {
        [Value::String(name)] => Ok(named(name).map_or(Value::none(), |format| Value::some(value(format)))),
        _ => Err(Error::no_such_overload()),
    }),
    ("format.dns1123Label", NEW, Cost::Units(1), |_| make("dns1123Label")),
    ("format.dns1123Subdomain", NEW, Cost::Units(1), |_| make("dns1123Subdomain")),
    ("format.dns1035Label", NEW, Cost::Units(1), |_| make("dns1035Label")),
    ("format.qualifiedName", NEW, Cost::Units(1), |_| make("qualifiedName")),
    ("format.dns1123LabelPrefix", NEW, Cost::Units(1), |_| make("dns1123LabelPrefix")),
    ("format.dns1123SubdomainPrefix", NEW, Cost::Units(1), |_| make("dns1123SubdomainPrefix")),
    ("format.dns1035LabelPrefix", NEW, Cost::Units(1), |_| make("dns1035LabelPrefix")),
    ("format.labelValue", NEW, Cost::Units(1), |_| make("labelValue")),
    ("format.uri", NEW, Cost::Units(1), |_| make("uri")),
    ("format.uuid", NEW, Cost::Units(1), |_| make("uuid")),
    ("format.byte", NEW, Cost::Units(1), |_| make("byte")),
    ("format.date", NEW, Cost::Units(1), |_| make("date")),
    ("format.datetime", NEW, Cost::Units(1), |_| make("datetime")),
    ("validate", &["format.(string) optional(list(string))"], Cost::Pairs, validate),
];

fn words(messages: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    messages.into_iter().map(Into::into).collect()
}

/// Prefixes may end in a dash.
fn unmasked(text: &str) -> &str {
    text.strip_suffix('-').unwrap_or(text)
}

fn fits(format: &str, text: &str, why: &str) -> Vec<String> {
    if crate::custom::fits(format, text) { Vec::new() } else { vec![why.to_owned()] }
}

fn named(name: &str) -> Option<NamedFormat> {
    FORMATS.into_iter().find(|format| format.name == name)
}

fn value<'a>(format: NamedFormat) -> Value<'a> {
    Value::Opaque(Arc::new(Opaque::Format(format)))
}

fn make<'a>(name: &str) -> Result<Value<'a>, Error> {
    named(name).map(value).ok_or_else(Error::no_such_overload)
}

fn validate<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::Opaque(opaque), Value::String(text)] = call.args else { return Err(Error::no_such_overload()) };
    let Opaque::Format(format) = &**opaque else { return Err(Error::no_such_overload()) };
    let messages = (format.check)(text);
    if messages.is_empty() {
        return Ok(Value::none());
    }
    Ok(Value::some(Value::list(messages.into_iter().map(Value::from).collect())))
}
