//! What a token must say, and whom it means. The signature was checked before.

use coracle_core::User;
use jiff::Timestamp;
use serde_json::Value;

use super::OidcSettings;

/// How far the provider's clock may be ahead. Source: go-oidc `verify.go`.
const LEEWAY_SECONDS: f64 = 300.0;

/// The user, if the token is for us, now.
pub(super) fn holder(said: &Value, settings: &OidcSettings, now: Timestamp) -> Result<User, String> {
    let audiences = texts(&said["aud"]).unwrap_or_default();
    if !settings.audiences.iter().any(|ours| audiences.contains(&ours.as_str())) {
        return Err(format!("oidc: expected audience in {:?} got {audiences:?}", settings.audiences));
    }
    // Seconds since 1970, with fractions maybe: whole seconds lose nothing below 2^53.
    #[allow(clippy::cast_precision_loss, reason = "seconds of our time are far below 2^53")]
    let now = now.as_second() as f64;
    match said["exp"].as_f64() {
        Some(ends) if now <= ends => {}
        _ => return Err("oidc: token is expired".to_owned()),
    }
    if !said["nbf"].is_null() && said["nbf"].as_f64().is_none_or(|begins| now + LEEWAY_SECONDS < begins) {
        return Err("oidc: current time is before the nbf (not before) time".to_owned());
    }
    for (name, wanted) in &settings.required_claims {
        match said.get(name) {
            Some(value) if value == wanted.as_str() => {}
            Some(_) => return Err(format!("oidc: required claim {name} value does not match")),
            None => return Err(format!("oidc: required claim {name} not present in ID token")),
        }
    }
    Ok(User { name: name(said, settings)?, groups: groups(said, settings)?, ..User::default() })
}

fn name(said: &Value, settings: &OidcSettings) -> Result<String, String> {
    let claim = &settings.username_claim;
    let named = said.get(claim).and_then(Value::as_str).filter(|name| !name.is_empty());
    let named = named.ok_or_else(|| format!("oidc: parse username claims {claim:?}: claim not present"))?;
    let is_email = claim == "email";
    if is_email && said.get("email_verified").is_some_and(|verified| *verified != true) {
        return Err("oidc: email not verified".to_owned());
    }
    Ok(match &settings.username_prefix {
        Some(prefix) => format!("{prefix}{named}"),
        None if is_email => named.to_owned(),
        None => format!("{}#{named}", settings.issuer),
    })
}

fn groups(said: &Value, settings: &OidcSettings) -> Result<Vec<String>, String> {
    let Some(value) = settings.groups_claim.as_ref().and_then(|claim| said.get(claim)) else { return Ok(Vec::new()) };
    let groups = texts(value).ok_or("oidc: parse groups claim: neither a text nor a list of texts")?;
    Ok(groups.into_iter().map(|group| format!("{}{group}", settings.groups_prefix)).collect())
}

/// One text, or a list of texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
