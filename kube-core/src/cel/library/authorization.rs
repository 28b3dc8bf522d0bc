//! Questions to the authorizer: `authorizer.group('apps').resource('deployments').check('create').allowed()`. Source: apiserver
//! `library/authz.go`.

use std::sync::Arc;

use super::{Call, Opaque, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};
use crate::field::format;

/// Whoever decides what may be done.
pub trait Authorizer {
    /// Whether `who` may do it.
    fn check(&self, who: &Who, attributes: &Attributes) -> Decision;
}

/// For whom a question is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Who {
    /// The user of the request.
    #[default]
    Requester,
    /// A ServiceAccount: its namespace and name.
    ServiceAccount(String, String),
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// The verb, such as `create` or `get`.
    pub verb: String,
    /// The path, for what is no resource.
    pub path: Option<String>,
    /// The API group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// The subresource.
    pub subresource: String,
    /// The namespace; empty for all, or none.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// A field selector as text.
    pub field_selector: String,
    /// A label selector as text.
    pub label_selector: String,
}

/// A question that lacks its verb.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Check {
    /// For whom.
    pub who: Who,
    /// What.
    pub attributes: Attributes,
}

/// The authorizer's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// Why, or why not.
    pub reason: String,
    /// What went wrong while deciding.
    pub error: Option<String>,
}

const ONE: Cost = Cost::Units(1);
const CHECK: Cost = Cost::Units(350_000);
const FIELD: &[&str] = &["resource.(string) resource"];

pub(super) const ROWS: &[Row] = &[
    ("path", &["authorizer.(string) path"], ONE, |call| {
        with(call, |opaque, path| match opaque {
            _ if path.trim().is_empty() => Err(Error::failed("path must not be empty")),
            Opaque::Authorizer(who) => {
                let attributes = Attributes { path: Some(path.to_owned()), ..Attributes::default() };
                Ok(Opaque::Check(Check { who: who.clone(), attributes }))
            }
            _ => Err(Error::no_such_overload()),
        })
    }),
    ("group", &["authorizer.(string) group"], ONE, |call| {
        with(call, |opaque, group| match opaque {
            Opaque::Authorizer(who) => Ok(Opaque::Group(who.clone(), group.to_owned())),
            _ => Err(Error::no_such_overload()),
        })
    }),
    ("serviceAccount", &["authorizer.(string, string) authorizer"], ONE, service_account),
    ("resource", &["group.(string) resource"], ONE, |call| {
        with(call, |opaque, resource| match opaque {
            _ if resource.trim().is_empty() => Err(Error::failed("resource must not be empty")),
            Opaque::Group(who, group) => {
                let attributes =
                    Attributes { group: group.clone(), resource: resource.to_owned(), ..Attributes::default() };
                Ok(Opaque::Check(Check { who: who.clone(), attributes }))
            }
            _ => Err(Error::no_such_overload()),
        })
    }),
    ("subresource", FIELD, ONE, |call| set(call, |attributes| &mut attributes.subresource)),
    ("namespace", FIELD, ONE, |call| set(call, |attributes| &mut attributes.namespace)),
    ("name", FIELD, ONE, |call| set(call, |attributes| &mut attributes.name)),
    ("fieldSelector", FIELD, ONE, |call| set(call, |attributes| &mut attributes.field_selector)),
    ("labelSelector", FIELD, ONE, |call| set(call, |attributes| &mut attributes.label_selector)),
    ("check", &["path.(string) decision", "resource.(string) decision"], CHECK, check),
    ("allowed", &["decision.() bool"], ONE, |call| decision(call).map(|it| Value::Bool(it.allowed))),
    ("reason", &["decision.() string"], ONE, |call| decision(call).map(|it| it.reason.clone().into())),
    ("errored", &["decision.() bool"], ONE, |call| decision(call).map(|it| Value::Bool(it.error.is_some()))),
    ("error", &["decision.() string"], ONE, |call| {
        decision(call).map(|it| it.error.clone().unwrap_or_default().into())
    }),
];

fn value<'a>(opaque: Opaque) -> Value<'a> {
    Value::Opaque(Arc::new(opaque))
}

fn with<'a>(call: &Call<'_, 'a>, make: fn(&Opaque, &str) -> Result<Opaque, Error>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Opaque(opaque), Value::String(text)] => make(opaque, text).map(value),
        _ => Err(Error::no_such_overload()),
    }
}

fn set<'a>(call: &Call<'_, 'a>, field: fn(&mut Attributes) -> &mut String) -> Result<Value<'a>, Error> {
    let [Value::Opaque(opaque), Value::String(text)] = call.args else { return Err(Error::no_such_overload()) };
    let Opaque::Check(check) = &**opaque else { return Err(Error::no_such_overload()) };
    let mut check = check.clone();
    *field(&mut check.attributes) = text.to_string();
    Ok(value(Opaque::Check(check)))
}

fn service_account<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::Opaque(_), Value::String(namespace), Value::String(name)] = call.args else {
        return Err(Error::no_such_overload());
    };
    if !format::dns1123_subdomain(name).is_empty() {
        return Err(Error::failed("Invalid service account name"));
    }
    if !format::dns1123_label(namespace).is_empty() {
        return Err(Error::failed("Invalid service account namespace"));
    }
    Ok(value(Opaque::Authorizer(Who::ServiceAccount(namespace.to_string(), name.to_string()))))
}

fn check<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::Opaque(opaque), Value::String(verb)] = call.args else { return Err(Error::no_such_overload()) };
    let Opaque::Check(check) = &**opaque else { return Err(Error::no_such_overload()) };
    let authorizer = call.authorizer.ok_or_else(|| Error::failed("there is no authorizer here"))?;
    let attributes = Attributes { verb: verb.to_string(), ..check.attributes.clone() };
    Ok(value(Opaque::Decision(authorizer.check(&check.who, &attributes))))
}

fn decision<'c>(call: &Call<'c, '_>) -> Result<&'c Decision, Error> {
    match call.args {
        [Value::Opaque(opaque)] => match &**opaque {
            Opaque::Decision(decision) => Ok(decision),
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}
