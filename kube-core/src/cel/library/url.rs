//! URLs as Go's `url.ParseRequestURI` reads them. Source: apiserver `library/urls.go`.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Call, Opaque, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Map, Value};

/// A URL, or an absolute path.
#[derive(Clone, Debug, PartialEq)]
pub struct Url {
    text: String,
    scheme: String,
    host: String,
    path: String,
    query: String,
}

pub(super) const ROWS: &[Row] = &[
    ("url", &["(string) url"], Cost::Walk(1.0), |call| match call.args {
        [Value::String(text)] => {
            let wrong = || {
                Error::failed(format!(
                    "URL parse error during conversion from string: parse {text:?}: invalid URI for request",
                    text = &**text
                ))
            };
            parse(text).map(|url| Value::Opaque(Arc::new(Opaque::Url(url)))).ok_or_else(wrong)
        }
        _ => Err(Error::no_such_overload()),
    }),
    ("isURL", &["(string) bool"], Cost::Walk(1.0), |call| match call.args {
        [Value::String(text)] => Ok(Value::Bool(parse(text).is_some())),
        _ => Err(Error::no_such_overload()),
    }),
    ("getScheme", &["url.() string"], Cost::Units(1), |call| read(call, |url| url.scheme.clone())),
    ("getHost", &["url.() string"], Cost::Units(1), |call| read(call, |url| url.host.clone())),
    ("getHostname", &["url.() string"], Cost::Units(1), |call| read(call, |url| host_and_port(&url.host).0.to_owned())),
    ("getPort", &["url.() string"], Cost::Units(1), |call| read(call, |url| host_and_port(&url.host).1.to_owned())),
    ("getEscapedPath", &["url.() string"], Cost::Units(1), |call| read(call, |url| url.path.clone())),
    ("getQuery", &["url.() map(string, list(string))"], Cost::Units(1), query),
];

fn the_url<'c>(call: &Call<'c, '_>) -> Result<&'c Url, Error> {
    match call.args {
        [Value::Opaque(opaque)] => match &**opaque {
            Opaque::Url(url) => Ok(url),
            _ => Err(Error::no_such_overload()),
        },
        _ => Err(Error::no_such_overload()),
    }
}

fn read<'a>(call: &Call<'_, 'a>, read: fn(&Url) -> String) -> Result<Value<'a>, Error> {
    the_url(call).map(|url| read(url).into())
}

/// A host without brackets, and its port, if it has one.
fn host_and_port(host: &str) -> (&str, &str) {
    if let Some((inside, after)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        return (inside, after.strip_prefix(':').unwrap_or(""));
    }
    host.rsplit_once(':').unwrap_or((host, ""))
}

fn parse(text: &str) -> Option<Url> {
    if text.is_empty() || text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return None;
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() || !text.starts_with("///") => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (host(authority)?, path)
        }
        // Without a scheme it must be an absolute path.
        _ if rest.starts_with('/') || !scheme.is_empty() => (String::new(), rest),
        _ => return None,
    };
    let path = path.to_owned();
    is_escaped_well(&path).then_some(Url {
        text: text.to_owned(),
        scheme,
        host,
        path: escape(&path),
        query: query.to_owned(),
    })
}

/// The scheme in small letters, and what follows it.
fn scheme(text: &str) -> Option<(String, &str)> {
    let end = text.find(|it: char| !it.is_ascii_alphanumeric() && !"+-.".contains(it));
    match end.and_then(|end| text.get(..end).zip(text.get(end..))) {
        Some(("", rest)) if rest.starts_with(':') => None,
        Some((scheme, rest)) if rest.starts_with(':') && scheme.starts_with(|it: char| it.is_ascii_alphabetic()) => {
            Some((scheme.to_ascii_lowercase(), rest.get(1..)?))
        }
        _ => Some((String::new(), text)),
    }
}

fn host(authority: &str) -> Option<String> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = if host.starts_with('[') {
        host.split_once(']')?.1
    } else {
        host.find(':').and_then(|at| host.get(at..)).unwrap_or("")
    };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_plain = !host.contains([' ', '<', '>', '"', '\\', '^', '`', '{', '|', '}']);
    (is_port && is_plain && is_escaped_well(host)).then(|| unescape(host, false).into_owned())
}

fn is_escaped_well(text: &str) -> bool {
    text.split('%').skip(1).all(|part| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// The path as it is sent.
fn escape(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!*'()[]%".contains(&byte);
    path.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn unescape(text: &str, plus_is_space: bool) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus_is_space => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0) as u8;
                let high = digit(bytes.next());
                out.push(high << 4 | digit(bytes.next()));
            }
            other => out.push(other),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// The parameters of the query; what is not well escaped is left out.
fn query<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let url = the_url(call)?;
    let mut found: indexmap::IndexMap<String, Vec<Value<'a>>> = indexmap::IndexMap::new();
    for part in url.query.split('&').filter(|part| !part.is_empty() && !part.contains(';') && is_escaped_well(part)) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = unescape(value, true).into_owned();
        found.entry(unescape(name, true).into_owned()).or_default().push(value.into());
    }
    let entries = found.into_iter().map(|(name, values)| (Cow::Owned(name), Value::list(values)));
    Ok(Value::Map(Map::made(entries)))
}
