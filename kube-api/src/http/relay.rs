//! What every proxy of requests does: headers that are for one connection only, and connections that changed protocols.

use http::header::{CONNECTION, HeaderName, UPGRADE};
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// What is said between neighbours only. Source: RFC 9110, 7.6.1; Go's `httputil`, `hopHeaders`.
const HOP_HEADERS: [&str; 9] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers that are not for neighbours, neither by the standard nor by what the sender says.
pub(crate) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let said: Vec<&str> = words(headers).collect();
    let is_kept = |name: &HeaderName| {
        !HOP_HEADERS.contains(&name.as_str()) && !said.iter().any(|said| said.eq_ignore_ascii_case(name.as_str()))
    };
    headers.iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether the sender asks for another protocol on this connection.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && words(headers).any(|word| word.eq_ignore_ascii_case("upgrade"))
}

/// Asks the next server for the protocol that the sender asked us for.
pub(crate) fn ask_upgrade(from: &HeaderMap, to: &mut HeaderMap) {
    if let Some(protocol) = from.get(UPGRADE) {
        to.insert(UPGRADE, protocol.clone());
        to.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
}

/// What `Connection` lists.
fn words(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let said = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|line| line.split(',')).map(str::trim)
}

/// Copies in both directions, once both sides have changed protocols, until both have ended.
pub(crate) async fn join(here: OnUpgrade, there: OnUpgrade) {
    let Ok((here, there)) = tokio::try_join!(here, there) else { return };
    let _ended = tokio::io::copy_bidirectional(&mut TokioIo::new(here), &mut TokioIo::new(there)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_between_neighbours_are_left_out() {
        let pairs = [("connection", "close, X-Secret"), ("x-secret", "1"), ("te", "trailers"), ("accept", "*/*")];
        let headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        assert_eq!(end_to_end(&headers).keys().collect::<Vec<_>>(), ["accept"]);
        assert!(!wants_upgrade(&headers));
    }
}
