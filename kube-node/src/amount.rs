//! Quantities as numbers, as far as a node needs them: in thousandths, rounded up.

/// A quantity in thousandths of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount {
    /// Thousandths.
    pub milli: i128,
}

impl Amount {
    /// A whole number of units.
    #[must_use]
    pub const fn units(units: i128) -> Self {
        Self { milli: units.saturating_mul(1000) }
    }

    /// Reads a quantity such as `100m`, `1.5Gi` or `2e3`; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|letter: char| !matches!(letter, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(end)?;
        let (sign, number) = match number.strip_prefix('-') {
            Some(number) => (-1, number),
            None => (1, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let (numerator, denominator) = scale(suffix)?;
        let denominator = denominator.checked_mul(10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
        let scaled = digits.checked_mul(numerator)?;
        Some(Self { milli: sign * (scaled / denominator + i128::from(scaled % denominator != 0)) })
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.milli == 0
    }

    /// In whole units, rounded up.
    #[must_use]
    pub const fn value(self) -> i128 {
        self.milli.div_euclid(1000) + (self.milli.rem_euclid(1000) != 0) as i128
    }

    /// How many times `divisor` it is, rounded up; a divisor of nothing counts as one.
    #[must_use]
    pub const fn divided_by(self, divisor: Self) -> i128 {
        let divisor = if divisor.milli == 0 { 1000 } else { divisor.milli };
        self.milli / divisor + (self.milli % divisor != 0) as i128
    }
}

/// A suffix as a fraction of thousandths.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    const KIBI: i128 = 1024;
    Some(match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1000),
        "m" => (1, 1),
        "" => (1000, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1000 * KIBI, 1),
        "Mi" => (1000 * KIBI.pow(2), 1),
        "Gi" => (1000 * KIBI.pow(3), 1),
        "Ti" => (1000 * KIBI.pow(4), 1),
        "Pi" => (1000 * KIBI.pow(5), 1),
        "Ei" => (1000 * KIBI.pow(6), 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
            if exponent < 0 { (1000, power) } else { (power.checked_mul(1000)?, 1) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn quantities_are_numbers_in_thousandths() {
        for (text, milli) in [
            ("100m", 100),
            ("1", 1000),
            ("0.5", 500),
            ("1.5Ki", 1_536_000),
            ("2e3", 2_000_000),
            ("1n", 1),
            ("-1", -1000),
            ("1Gi", 1_073_741_824_000),
        ] {
            assert_eq!(Amount::parse(text), Some(Amount { milli }), "{text}");
        }
        assert_eq!([Amount::parse(""), Amount::parse("x"), Amount::parse("1Q")], [None; 3]);
        assert_eq!(Amount { milli: 1001 }.value(), 2);
        assert_eq!(Amount::units(5).divided_by(Amount::units(2)), 3);
    }
}
