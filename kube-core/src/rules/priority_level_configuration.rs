//! PriorityLevelConfiguration. That those the server itself needs stay as they are is not checked.

use super::check::{is_repeated, items, text};
use super::{Ruled, fill, spec_and_status};
use crate::field::{Errors, Path};
use k8s_openapi::api::flowcontrol::v1::{
    LimitResponse, LimitedPriorityLevelConfiguration, PriorityLevelConfiguration, PriorityLevelConfigurationSpec,
    QueuingConfiguration,
};

const SPEC: Path<'static> = Path::new("spec");
const QUEUES_MAX: i32 = 10_000_000;
/// Bits of the hash that deals hands of queues.
const HASH_BITS_MAX: f64 = 60.0;

impl Ruled for PriorityLevelConfiguration {
    spec_and_status!();

    fn fill_defaults(&mut self) {
        let Some(spec) = &mut self.spec else { return };
        if let Some(exempt) = &mut spec.exempt {
            fill::value(&mut exempt.nominal_concurrency_shares, 0);
            fill::value(&mut exempt.lendable_percent, 0);
        }
        let Some(limited) = &mut spec.limited else { return };
        fill::value(&mut limited.nominal_concurrency_shares, 30);
        fill::value(&mut limited.lendable_percent, 0);
        if let Some(queuing) = limited.limit_response.as_mut().and_then(|response| response.queuing.as_mut()) {
            fill::number(&mut queuing.hand_size, 8);
            fill::number(&mut queuing.queues, 64);
            fill::number(&mut queuing.queue_length_limit, 50);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let none = PriorityLevelConfigurationSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        let (kind, path) = (spec.type_.as_str(), SPEC.field("type"));
        if (text(&self.metadata.name) == "exempt") != (kind == "Exempt") {
            errors.invalid(&path, kind, "type must be 'Exempt' if and only if name is 'exempt'");
        }
        match kind {
            "Exempt" => validate_exempt(spec, errors),
            "Limited" => {
                if spec.exempt.is_some() {
                    errors.forbidden(&SPEC.field("exempt"), "must be nil if the type is Limited");
                }
                match &spec.limited {
                    None => errors.required(&SPEC.field("limited"), "must not be empty when type is Limited"),
                    Some(limited) => validate_limited(limited, &SPEC.field("limited"), errors),
                }
            }
            _ => errors.not_supported(&path, kind, &["Exempt", "Limited"]),
        }
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let conditions = self.status.as_ref().map_or(&[][..], |status| items(&status.conditions));
        for (index, condition) in conditions.iter().enumerate() {
            let path = Path::new("status.conditions");
            let path = path.index(index);
            if is_repeated(conditions, index, |condition| condition.type_.clone()) {
                errors.duplicate(&path.field("type"), text(&condition.type_));
            }
            if text(&condition.type_).is_empty() {
                errors.required(&path.field("type"), "must not be empty");
            }
        }
    }
}

fn validate_shares(shares: Option<i32>, lendable: Option<i32>, path: &Path, errors: &mut Errors) {
    if let Some(shares) = shares.filter(|shares| *shares < 0) {
        errors.invalid(&path.field("nominalConcurrencyShares"), shares, "must be a non-negative integer");
    }
    if let Some(percent) = lendable.filter(|percent| !(0..=100).contains(percent)) {
        errors.invalid(&path.field("lendablePercent"), percent, "must be between 0 and 100, inclusive");
    }
}

fn validate_exempt(spec: &PriorityLevelConfigurationSpec, errors: &mut Errors) {
    if spec.limited.is_some() {
        errors.forbidden(&SPEC.field("limited"), "must be nil if the type is not Limited");
    }
    if let Some(exempt) = &spec.exempt {
        let path = SPEC.field("exempt");
        validate_shares(exempt.nominal_concurrency_shares, exempt.lendable_percent, &path, errors);
    }
}

fn validate_limited(limited: &LimitedPriorityLevelConfiguration, path: &Path, errors: &mut Errors) {
    let none = LimitResponse::default();
    let response = limited.limit_response.as_ref().unwrap_or(&none);
    validate_response(response, &path.field("limitResponse"), errors);
    validate_shares(limited.nominal_concurrency_shares, limited.lendable_percent, path, errors);
    if let Some(percent) = limited.borrowing_limit_percent.filter(|percent| *percent < 0) {
        let message = "if specified, must be a non-negative integer";
        errors.invalid(&path.field("borrowingLimitPercent"), percent, message);
    }
}

fn validate_response(response: &LimitResponse, path: &Path, errors: &mut Errors) {
    let queuing = path.field("queuing");
    match (response.type_.as_str(), &response.queuing) {
        ("Reject", None) => {}
        ("Reject", Some(_)) => {
            errors.forbidden(&queuing, "must be nil if limited.limitResponse.type is not Limited");
        }
        ("Queue", None) => {
            errors.required(&queuing, "must not be empty if limited.limitResponse.type is Limited");
        }
        ("Queue", Some(given)) => validate_queuing(given, &queuing, errors),
        (other, _) => errors.not_supported(&path.field("type"), other, &["Queue", "Reject"]),
    }
}

fn validate_queuing(queuing: &QueuingConfiguration, path: &Path, errors: &mut Errors) {
    const POSITIVE: &str = "must be positive";
    let [limit, queues, hand] =
        [queuing.queue_length_limit, queuing.queues, queuing.hand_size].map(|number| number.unwrap_or(0));
    if limit <= 0 {
        errors.invalid(&path.field("queueLengthLimit"), limit, POSITIVE);
    }
    if queues <= 0 {
        errors.invalid(&path.field("queues"), queues, POSITIVE);
    } else if queues > QUEUES_MAX {
        errors.invalid(&path.field("queues"), queues, format!("must not be greater than {QUEUES_MAX}"));
    }
    let path = path.field("handSize");
    if hand <= 0 {
        errors.invalid(&path, hand, POSITIVE);
    } else if hand > queues {
        errors.invalid(&path, hand, format!("should not be greater than queues ({queues})"));
    } else if (f64::from(queues).log2() * f64::from(hand)).ceil() > HASH_BITS_MAX {
        let message = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS_MAX}"
        );
        errors.invalid(&path, hand, message);
    }
}
