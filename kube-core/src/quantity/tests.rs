use super::*;
use proptest::prelude::*;

fn check(text: &str, printed: &str) {
    let quantity = Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(quantity.to_string(), printed, "{text}");
    assert_eq!(Quantity::parse(printed), Ok(quantity), "{printed}");
}

#[test]
fn prints_canonically() {
    for (text, printed) in [
        ("0", "0"),
        ("0n", "0"),
        ("0Ki", "0"),
        ("-0", "0"),
        ("1000m", "1"),
        ("1", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("+5", "5"),
        ("005", "5"),
        ("0.0001", "100u"),
        ("1.1", "1100m"),
        ("1000", "1k"),
        ("1024", "1024"),
        ("1500M", "1500M"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1e0", "1"),
        ("12e6", "12e6"),
        ("1e1", "10"),
        ("1e-3", "1e-3"),
        ("1.5e3", "1500"),
        ("1E", "1E"),
        ("1Ei", "1Ei"),
        ("1024Ki", "1Mi"),
        ("1024Mi", "1Gi"),
        ("1023Ki", "1023Ki"),
        ("0.5Ki", "512"),
        ("1.5Gi", "1536Mi"),
        ("0.25Mi", "256Ki"),
        ("0.0001Ki", "102400u"),
        ("1Ki", "1Ki"),
        ("-1Ki", "-1Ki"),
        ("-500m", "-500m"),
        ("-1.5", "-1500m"),
        ("1000E", "1000E"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
    ] {
        check(text, printed);
    }
}

#[test]
fn rounds_up_below_a_billionth_and_caps_binaries() {
    for (text, printed) in [
        ("0.1n", "1n"),
        ("1.1n", "2n"),
        ("-1.1n", "-2n"),
        ("1e-40", "1e-9"),
        ("0.00000000000000000000000000000000001", "1n"),
        ("1.0000000001", "1000000001n"),
        ("8Ei", "9223372036854775807"),
        ("-8Ei", "-9223372036854775807"),
        ("1.1234567890123456789012345Ki", "1150419751949n"),
        ("99999999999999999999999999999999999999999999Ei", "9223372036854775807"),
    ] {
        check(text, printed);
    }
}

#[test]
fn rejects_with_upstreams_words() {
    use QuantityError::*;
    for (text, error) in [
        ("", Format),
        ("1.1.M", Format),
        ("1+1.0M", Format),
        ("0.1am", Format),
        ("aoeu", Format),
        ("1 Gi", Format),
        ("1GiB", Format),
        ("-3.01e-", Suffix),
        ("0.1mi", Suffix),
        (".5i", Suffix),
        ("1i", Suffix),
        ("1e", Suffix),
        ("1K", Suffix),
        ("1e100", Numeric),
    ] {
        assert_eq!(Quantity::parse(text), Err(error), "{text}");
    }
    assert_eq!(
        Quantity::parse("one").unwrap_err().to_string(),
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
}

#[test]
fn keeps_a_text_that_upstream_keeps() {
    for (text, stored) in [
        ("1.500", "1.500"),
        ("1.5", "1500m"),
        ("1000m", "1"),
        ("100m", "100m"),
        ("+5", "+5"),
        ("+5Ki", "+5Ki"),
        ("8Ki", "8Ki"),
        ("1024Ki", "1Mi"),
        ("1E3", "1E3"),
        (" 1Gi ", "1Gi"),
        ("0.001", "1m"),
        ("0", "0"),
    ] {
        assert_eq!(canonical(text).unwrap(), stored, "{text}");
    }
}

#[test]
fn value_and_milli_value_round_up() {
    let parse = |text| Quantity::parse(text).unwrap();
    assert_eq!(parse("1.5").value(), 2);
    assert_eq!(parse("-1.5").value(), -2);
    assert_eq!(parse("1n").value(), 1);
    assert_eq!(parse("1n").milli_value(), 1);
    assert_eq!(parse("250m").milli_value(), 250);
    assert_eq!(parse("2").milli_value(), 2000);
    assert_eq!(parse("1Ei").milli_value(), i64::MAX);
    assert_eq!(parse("1500u").round_up_to_milli().to_string(), "2m");
}

#[test]
fn sums_take_the_left_format() {
    let parse = |text| Quantity::parse(text).unwrap();
    assert_eq!((parse("1Gi") + parse("1024")).to_string(), "1048577Ki");
    assert_eq!((Quantity::ZERO + parse("1Gi")).to_string(), "1Gi");
    assert_eq!((parse("1") - parse("1500m")).to_string(), "-500m");
    assert_eq!(["1", "500m", "0.5"].into_iter().map(parse).sum::<Quantity>().to_string(), "2");
}

fn any_quantity() -> impl Strategy<Value = Quantity> {
    let format = prop_oneof![Just(Format::DecimalSi), Just(Format::BinarySi), Just(Format::DecimalExponent)];
    let nano = prop_oneof![
        any::<i64>().prop_map(i128::from),
        any::<i64>().prop_map(|units| i128::from(units) * NANO),
        (any::<i32>(), 0u32..7).prop_map(|(mantissa, power)| i128::from(mantissa) * 1024i128.pow(power) * NANO),
    ];
    (nano, format)
        .prop_filter("a binary beyond i64 is capped on the way back in", |(nano, _)| {
            nano.abs() <= i128::from(i64::MAX) * NANO
        })
        .prop_map(|(nano, format)| Quantity::from_nano(nano, format))
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(quantity in any_quantity()) {
        let printed = quantity.to_string();
        prop_assert_eq!(Quantity::parse(&printed), Ok(quantity));
        prop_assert_eq!(Quantity::parse(&printed).unwrap().to_string(), printed.clone());
        prop_assert_eq!(Quantity::parse(&canonical(&printed).unwrap()), Ok(quantity));
    }

    #[test]
    fn no_text_panics(text in "[-+]?[0-9]{0,40}\\.?[0-9]{0,40}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,12}") {
        let _ = Quantity::parse(&text);
        let _ = canonical(&text);
    }

    #[test]
    fn order_is_that_of_the_numbers(left in any::<i32>(), right in any::<i32>()) {
        let (left_text, right_text) = (format!("{left}m"), format!("{right}m"));
        let order = Quantity::parse(&left_text).unwrap().cmp(&Quantity::parse(&right_text).unwrap());
        prop_assert_eq!(order, left.cmp(&right));
    }
}
